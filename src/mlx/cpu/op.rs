//! Operations of MLX's graph that a function of this program computes: bundle/native/host_op.cpp, seen from Rust.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use mlx_rs::error::Exception;
use mlx_rs::{Array, Stream};
use mlx_sys::{mlx_array, mlx_stream};

use crate::error::panic_message;
use crate::mlx::nn::Result;

/// The function of an operation: float32 inputs, and the output to fill.
type Function = Box<dyn Fn(&[&[f32]], &mut [f32]) + Send + Sync>;

type HostFunction = extern "C" fn(*mut c_void, *const *const f32, *const usize, usize, *mut f32, usize);

unsafe extern "C" {
    fn csm_host_op(
        result: *mut mlx_array,
        inputs: *const mlx_array,
        count: usize,
        shape: *const c_int,
        rank: usize,
        on: mlx_stream,
        run: HostFunction,
        drop: extern "C" fn(*mut c_void),
        context: *mut c_void,
    ) -> c_int;
    fn csm_count_operations(outputs: *const mlx_array, count: usize) -> usize;
}

/// The words of the last operation that panicked, until [`take_panic`] takes them.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Why an operation has panicked since the last call, if one has.
pub(in crate::mlx) fn take_panic() -> Option<String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// # Safety
/// `pointer` leads to `size` numbers that outlive `'a`; it may be null if `size` is 0.
unsafe fn numbers<'a>(pointer: *const f32, size: usize) -> &'a [f32] {
    match size {
        0 => &[],
        // SAFETY: as the caller promises.
        size => unsafe { std::slice::from_raw_parts(pointer, size) },
    }
}

extern "C" fn run_function(
    context: *mut c_void,
    inputs: *const *const f32,
    sizes: *const usize,
    count: usize,
    output: *mut f32,
    output_size: usize,
) {
    // SAFETY: `context` is the function that `host_op` boxed; MLX gives `count` inputs of these sizes and its own output.
    let (function, inputs, output) = unsafe {
        let slices = (0..count).map(|n| numbers(*inputs.add(n), *sizes.add(n)));
        let output = if output_size == 0 { &mut [] } else { std::slice::from_raw_parts_mut(output, output_size) };
        (&*context.cast::<Function>(), slices.collect::<Vec<_>>(), output)
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| function(&inputs, output)));
    if let Err(panic) = outcome {
        // No way back through MLX's thread: whoever waits for the result takes the words.
        let words = panic_message(panic.as_ref());
        PANIC.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
        output.fill(f32::NAN);
    }
}

extern "C" fn drop_function(context: *mut c_void) {
    // SAFETY: the function that `host_op` boxed, given back once.
    drop(unsafe { Box::from_raw(context.cast::<Function>()) });
}

/// An array of this shape that `function` computes from `inputs` when it is evaluated.
pub(in crate::mlx) fn host_op(
    inputs: &[&Array],
    shape: &[i32],
    function: impl Fn(&[&[f32]], &mut [f32]) + Send + Sync + 'static,
) -> Result<Array> {
    let context: Box<Function> = Box::new(Box::new(function));
    let inputs: Vec<mlx_array> = inputs.iter().map(|input| input.as_ptr()).collect();
    let stream = Stream::thread_local_or_cpu();
    // SAFETY: the arrays and the stream live through the call; the context is taken over; the result is a new array of our own.
    unsafe {
        let mut result = mlx_sys::mlx_array_new();
        let context = Box::into_raw(context).cast();
        let (count, rank) = (inputs.len(), shape.len());
        let failed = csm_host_op(
            &raw mut result,
            inputs.as_ptr(),
            count,
            shape.as_ptr(),
            rank,
            stream.as_ptr(),
            run_function,
            drop_function,
            context,
        );
        let result = Array::from_ptr(result);
        if failed == 0 { Ok(result) } else { Err(Exception::custom("MLX cannot add an operation")) }
    }
}

/// Operations that evaluating `outputs` would run.
pub(in crate::mlx) fn count_operations<'a>(outputs: impl IntoIterator<Item = &'a Array>) -> usize {
    let outputs: Vec<mlx_array> = outputs.into_iter().map(|output| output.as_ptr()).collect();
    // SAFETY: the arrays live through the call.
    unsafe { csm_count_operations(outputs.as_ptr(), outputs.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mlx::evaluate;

    #[test]
    fn a_panic_is_the_error_of_whoever_waits_and_of_nobody_else() {
        let x = Array::from_slice(&[1.0f32, 2.0], &[2]);
        let panics = host_op(&[&x], &[2], |_, _| panic!("the words of a test")).unwrap();
        let error = evaluate([&panics]).unwrap_err().to_string();
        assert!(error.contains("the words of a test"), "{error}");
        let doubled = host_op(&[&x], &[2], |inputs, output| {
            output.iter_mut().zip(inputs[0]).for_each(|(y, x)| *y = 2.0 * x);
        });
        let doubled = doubled.unwrap();
        evaluate([&doubled]).unwrap();
        assert_eq!(doubled.as_slice::<f32>(), [2.0, 4.0]);
    }
}
