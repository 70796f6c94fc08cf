//! The pickle inside a `torch.save` file, read as data: a dictionary of tensors. Nothing in it is called. Ours, because the crates
//! that read pickles either do not know PyTorch's persistent ids or reserve memory by lengths that the file claims.

use std::rc::Rc;

/// A tensor of the dictionary.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedTensor {
    pub(crate) name: String,
    /// PyTorch's class of the storage, such as `FloatStorage`.
    pub(crate) storage_type: String,
    /// Key of the storage in the archive.
    pub(crate) storage: String,
    /// First number in the storage.
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

impl SavedTensor {
    /// Whether its numbers lie row-major without gaps.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expected = 1usize;
        self.shape.len() == self.strides.len()
            && self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
                let fits = *size <= 1 || *stride == expected;
                expected = expected.saturating_mul(*size);
                fits
            })
    }
}

/// Objects of any size are shared, because a pickle can repeat one without end.
#[derive(Clone, Debug)]
enum PickleValue {
    Mark,
    Int(i64),
    Text(Rc<str>),
    Global(Rc<str>),
    Tuple(Rc<[PickleValue]>, usize),
    Storage {
        class: Rc<str>,
        key: Rc<str>,
    },
    Tensor(Rc<SavedTensor>),
    /// Keys and values, in order.
    Dict(Vec<(PickleValue, PickleValue)>, usize),
    Other,
}

impl PickleValue {
    /// How deep tuples and dictionaries are nested in it.
    fn depth(&self) -> usize {
        match self {
            Self::Tuple(_, depth) | Self::Dict(_, depth) => *depth,
            _ => 0,
        }
    }

    fn tuple(items: Vec<Self>) -> Result<Self, String> {
        let depth = deepest(items.iter())?;
        Ok(Self::Tuple(items.into(), depth))
    }
}

/// The depth of what holds these values; bounded, because dropping them recurses.
fn deepest<'a>(values: impl Iterator<Item = &'a PickleValue>) -> Result<usize, String> {
    let depth = 1 + values.map(PickleValue::depth).max().unwrap_or(0);
    if depth > DEPTH { Err("is nested too deeply".into()) } else { Ok(depth) }
}

/// Most objects on the stack and in the memo.
const OBJECTS: usize = 4_000_000;
const DEPTH: usize = 32;
/// Most bytes of a name, and most dimensions of a tensor: what is built of repeated objects stays small.
const LONGEST_NAME: usize = 1_024;
const DIMENSIONS: usize = 16;

/// A name made of `parts`, if it is not too long.
fn name(parts: &[&str]) -> Result<Rc<str>, String> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > LONGEST_NAME { Err("has a name that is too long".into()) } else { Ok(parts.concat().into()) }
}

/// The one tensor of a file, or of its dictionary the one that is called `frames` or `codes`.
pub(crate) fn tensor_of(bytes: &[u8]) -> Result<SavedTensor, String> {
    match (Machine { bytes, position: 0, stack: Vec::new(), memo: Vec::new() }).run()? {
        PickleValue::Tensor(tensor) => Ok(Rc::unwrap_or_clone(tensor)),
        PickleValue::Dict(..) => {
            let mut tensors = state_dict(bytes)?;
            let named = tensors.iter().position(|tensor| matches!(tensor.name.as_str(), "frames" | "codes"));
            match (named, tensors.len()) {
                (Some(n), _) => Ok(tensors.swap_remove(n)),
                (None, 1) => Ok(tensors.remove(0)),
                _ => Err("holds several tensors, expected one, or one called \"frames\"".into()),
            }
        }
        _ => Err("holds no tensor".into()),
    }
}

/// The tensors of the dictionary, or of the dictionary under `model`, `state_dict` or `model_state_dict` in it.
pub(crate) fn state_dict(bytes: &[u8]) -> Result<Vec<SavedTensor>, String> {
    let PickleValue::Dict(items, _) = (Machine { bytes, position: 0, stack: Vec::new(), memo: Vec::new() }).run()?
    else {
        return Err("holds no dictionary".into());
    };
    let nested = items.iter().find_map(|(key, value)| match (key, value) {
        (PickleValue::Text(key), PickleValue::Dict(inner, _))
            if ["model", "state_dict", "model_state_dict"].contains(&&**key) =>
        {
            Some(inner)
        }
        _ => None,
    });
    let items = nested.unwrap_or(&items);
    let tensor = |(key, value): &(PickleValue, PickleValue)| match (key, value) {
        (PickleValue::Text(text), PickleValue::Tensor(tensor)) => {
            Some(name(&[text]).map(|name| SavedTensor { name: name.to_string(), ..(**tensor).clone() }))
        }
        _ => None,
    };
    let tensors = items.iter().filter_map(tensor).collect::<Result<Vec<_>, _>>()?;
    if tensors.is_empty() { Err("holds no tensors".into()) } else { Ok(tensors) }
}

/// The pickle machine, for the opcodes that `torch.save` uses (Python's `pickletools` documents them).
struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    stack: Vec<PickleValue>,
    memo: Vec<Option<PickleValue>>,
}

impl Machine<'_> {
    fn run(mut self) -> Result<PickleValue, String> {
        loop {
            let opcode = self.take(1)?[0];
            match opcode {
                0x80 => drop(self.take(1)?),                          // PROTO
                0x95 => drop(self.take(8)?),                          // FRAME
                b'.' => return self.pop(),                            // STOP
                b'(' => self.push(PickleValue::Mark)?,                // MARK
                b'}' => self.push(PickleValue::Dict(Vec::new(), 1))?, // EMPTY_DICT
                b')' => self.push(PickleValue::tuple(Vec::new())?)?,  // EMPTY_TUPLE
                b']' => self.push(PickleValue::Other)?,               // EMPTY_LIST
                b'N' | 0x88 | 0x89 => self.push(PickleValue::Other)?, // NONE, NEWTRUE, NEWFALSE
                b'G' => {
                    self.take(8)?; // BINFLOAT
                    self.push(PickleValue::Other)?;
                }
                b'K' => self.push_int(1)?, // BININT1
                b'M' => self.push_int(2)?, // BININT2
                b'J' => {
                    let bytes = self.array::<4>()?; // BININT
                    self.push(PickleValue::Int(i32::from_le_bytes(bytes).into()))?;
                }
                0x8a => self.push_long()?,  // LONG1
                b'X' => self.push_text(4)?, // BINUNICODE
                0x8c => self.push_text(1)?, // SHORT_BINUNICODE
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?); // GLOBAL
                    self.push(PickleValue::Global(self::name(&[&module, ".", &name])?))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?); // STACK_GLOBAL
                    let (PickleValue::Text(module), PickleValue::Text(name)) = (module, name) else {
                        return Err("a class without a name".into());
                    };
                    self.push(PickleValue::Global(self::name(&[&module, ".", &name])?))?;
                }
                b'q' => {
                    let index = self.unsigned(1)?; // BINPUT
                    self.memoize(index)?;
                }
                b'r' => {
                    let index = self.unsigned(4)?; // LONG_BINPUT
                    self.memoize(index)?;
                }
                0x94 => self.memoize(self.memo.len())?, // MEMOIZE
                b'h' => self.recall(1)?,                // BINGET
                b'j' => self.recall(4)?,                // LONG_BINGET
                b't' => {
                    let items = self.pop_to_mark()?; // TUPLE
                    self.push(PickleValue::tuple(items)?)?;
                }
                0x85..=0x87 => {
                    let count = usize::from(opcode - 0x84); // TUPLE1 to TUPLE3
                    let mut items = Vec::new();
                    for _ in 0..count {
                        items.insert(0, self.pop()?);
                    }
                    self.push(PickleValue::tuple(items)?)?;
                }
                b'Q' => {
                    let id = self.pop()?; // BINPERSID
                    self.push(storage(id)?)?;
                }
                b'R' => {
                    let (arguments, function) = (self.pop()?, self.pop()?); // REDUCE
                    self.push(reduced(function, arguments)?)?;
                }
                b'b' => drop(self.pop()?), // BUILD: attributes of a dictionary
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?); // SETITEM
                    self.set_items(vec![(key, value)])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?; // SETITEMS
                    let pairs = items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
                    self.set_items(pairs)?;
                }
                b'a' => drop(self.pop()?),         // APPEND
                b'e' => drop(self.pop_to_mark()?), // APPENDS
                other => {
                    return Err(format!(
                        "opcode {other:#04x} at byte {} is not one that torch.save uses",
                        self.position - 1
                    ));
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.position.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else { return Err("ends too early".into()) };
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn unsigned(&mut self, size: usize) -> Result<usize, String> {
        Ok(self.take(size)?.iter().rev().fold(0, |n, byte| (n << 8) | usize::from(*byte)))
    }

    fn push(&mut self, value: PickleValue) -> Result<(), String> {
        if self.stack.len() >= OBJECTS {
            return Err("has too many objects".into());
        }
        self.stack.push(value);
        Ok(())
    }

    fn push_int(&mut self, size: usize) -> Result<(), String> {
        let value = self.unsigned(size)? as i64;
        self.push(PickleValue::Int(value))
    }

    fn push_long(&mut self) -> Result<(), String> {
        let size = self.unsigned(1)?;
        if size > 8 {
            return Err("has a number of more than 64 bits".into());
        }
        let bytes = self.take(size)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let start = if negative { -1i64 } else { 0 };
        let value = bytes.iter().rev().fold(start, |n, byte| (n << 8) | i64::from(*byte));
        self.push(PickleValue::Int(value))
    }

    fn push_text(&mut self, length_size: usize) -> Result<(), String> {
        let length = self.unsigned(length_size)?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|e| e.to_string())?.into();
        self.push(PickleValue::Text(text))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.position..];
        let end = rest.iter().position(|b| *b == b'\n').ok_or("ends too early")?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.position += end + 1;
        Ok(line)
    }

    fn pop(&mut self) -> Result<PickleValue, String> {
        self.stack.pop().ok_or_else(|| "takes more objects than there are".into())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<PickleValue>, String> {
        let mark = self.stack.iter().rposition(|v| matches!(v, PickleValue::Mark)).ok_or("has no mark")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// Dictionaries are remembered empty: nothing refers back to one that is being filled but its owner on the stack.
    fn memoize(&mut self, index: usize) -> Result<(), String> {
        if index >= OBJECTS {
            return Err("has too many objects".into());
        }
        let value = match self.stack.last().ok_or("remembers nothing")? {
            PickleValue::Dict(..) | PickleValue::Mark => PickleValue::Other,
            value => value.clone(),
        };
        if self.memo.len() <= index {
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = Some(value);
        Ok(())
    }

    fn recall(&mut self, size: usize) -> Result<(), String> {
        let index = self.unsigned(size)?;
        let value = self.memo.get(index).cloned().flatten().ok_or("refers to nothing")?;
        self.push(value)
    }

    fn set_items(&mut self, pairs: Vec<(PickleValue, PickleValue)>) -> Result<(), String> {
        match self.stack.last_mut() {
            Some(PickleValue::Dict(items, depth)) => {
                *depth = deepest(pairs.iter().flat_map(|(key, value)| [key, value]))?.max(*depth);
                items.extend(pairs);
            }
            Some(_) => {}
            None => return Err("sets an item of nothing".into()),
        }
        Ok(())
    }
}

/// `('storage', class, key, device, count)`.
fn storage(id: PickleValue) -> Result<PickleValue, String> {
    match id {
        PickleValue::Tuple(items, _) => match &*items {
            [PickleValue::Text(kind), PickleValue::Global(class), PickleValue::Text(key), ..]
                if &**kind == "storage" =>
            {
                let class = class.strip_prefix("torch.").map_or_else(|| class.clone(), Rc::from);
                Ok(PickleValue::Storage { class, key: name(&[key])? })
            }
            _ => Err("refers to something other than a storage".into()),
        },
        _ => Err("refers to something other than a storage".into()),
    }
}

/// The result that calling `function` would give, for the functions that build dictionaries and tensors. Others are not called.
fn reduced(function: PickleValue, arguments: PickleValue) -> Result<PickleValue, String> {
    let (PickleValue::Global(function), PickleValue::Tuple(arguments, _)) = (function, arguments) else {
        return Err("calls something without a name".into());
    };
    match &*function {
        "collections.OrderedDict" => Ok(PickleValue::Dict(Vec::new(), 1)),
        "torch._utils._rebuild_tensor_v2" => tensor(&arguments),
        "torch._utils._rebuild_parameter" => {
            arguments.first().cloned().ok_or_else(|| "a parameter without tensor".into())
        }
        _ => Ok(PickleValue::Other),
    }
}

/// `(storage, offset, shape, strides, requires_grad, hooks)`.
fn tensor(arguments: &[PickleValue]) -> Result<PickleValue, String> {
    let [
        PickleValue::Storage { class, key },
        PickleValue::Int(offset),
        PickleValue::Tuple(shape, _),
        PickleValue::Tuple(strides, _),
        ..,
    ] = arguments
    else {
        return Err("a tensor without storage, shape and strides".into());
    };
    let size = |value: &PickleValue| match value {
        PickleValue::Int(n) => usize::try_from(*n).map_err(|e| e.to_string()),
        _ => Err("a size that is not a number".to_owned()),
    };
    let sizes = |values: &[PickleValue]| match values.len() {
        ..=DIMENSIONS => values.iter().map(size).collect::<Result<Vec<_>, _>>(),
        _ => Err("a tensor of too many dimensions".into()),
    };
    Ok(PickleValue::Tensor(Rc::new(SavedTensor {
        name: String::new(),
        storage_type: class.to_string(),
        storage: key.to_string(),
        offset: size(&PickleValue::Int(*offset))?,
        shape: sizes(shape)?,
        strides: sizes(strides)?,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"w": tensor}` as protocol 2 writes it, with a class next to it that must not be called.
    fn example() -> Vec<u8> {
        let mut bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00w".to_vec();
        bytes.extend(
            b"ctorch._utils\n_rebuild_tensor_v2\nq\x01((X\x07\x00\x00\x00storageq\x02ctorch\nFloatStorage\nq\x03",
        );
        bytes.extend(b"X\x01\x00\x00\x000q\x04X\x03\x00\x00\x00cpuq\x05K\x06tq\x06QK\x00K\x02K\x03\x86q\x07K\x03K\x01\x86q\x08\x89");
        bytes.extend(b"ccollections\nOrderedDict\nq\x09)Rq\x0atq\x0bRq\x0c");
        bytes.extend(b"X\x01\x00\x00\x00xcos\nsystem\nX\x02\x00\x00\x00ls\x85Ru.");
        bytes
    }

    #[test]
    fn a_dictionary_of_tensors_is_read_and_nothing_is_called() {
        let tensors = state_dict(&example()).unwrap();
        assert_eq!(tensors.len(), 1);
        let t = &tensors[0];
        assert_eq!((t.name.as_str(), t.storage_type.as_str(), t.storage.as_str()), ("w", "FloatStorage", "0"));
        assert_eq!((t.offset, &t.shape, &t.strides), (0, &vec![2, 3], &vec![3, 1]));
        assert!(t.is_contiguous());
        assert!(!SavedTensor { strides: vec![1, 2], ..t.clone() }.is_contiguous());
    }

    #[test]
    fn repeated_objects_take_no_memory_of_their_own() {
        // A text of 1 MB and a tensor's shape, each recalled a million times: gigabytes if they were copied.
        let text = "x".repeat(1 << 20);
        let mut bytes = b"\x80\x02}(X".to_vec();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(b"q\x00");
        bytes.extend(b"h\x00".repeat(1_000_000));
        bytes.extend(b"e.");
        assert!(state_dict(&bytes).is_err());
        let mut named = b"\x80\x02}X".to_vec();
        named.extend((text.len() as u32).to_le_bytes());
        named.extend(text.as_bytes());
        named.extend(b"\x8c\x01x\x93.");
        assert!(state_dict(&named).unwrap_err().contains("too long"));
    }

    #[test]
    fn a_damaged_pickle_is_an_error() {
        let whole = example();
        for length in 0..whole.len() - 1 {
            assert!(state_dict(&whole[..length]).is_err(), "{length}");
        }
        let mut state = 1u32;
        for _ in 0..if cfg!(miri) { 200 } else { 20_000 } {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = state as usize % bytes.len();
                bytes[at] = (state >> 16) as u8;
            }
            drop(state_dict(&bytes)); // an error or not, but no panic
        }
    }
}
