//! What the loudspeaker's callback does: read shared samples at a position, with gain ramps at every jump. No lock, no
//! allocation, no drop of a clip; plain functions, tested sample by sample.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::*};

/// Length of a fade at starts, stops and jumps, seconds.
pub const FADE_SECONDS: f64 = 0.005;
/// Shortest loop, seconds.
pub const SHORTEST_LOOP: f64 = 0.5;
/// No jump is asked for.
const NO_JUMP: usize = usize::MAX;

/// Samples that one thread adds to while another reads: room is reserved once, and a sample is never changed after `len` covers it.
pub struct Sound {
    samples: Box<[AtomicU32]>,
    len: AtomicUsize,
    /// Whether more may come.
    open: AtomicBool,
}

impl Sound {
    /// Room for `capacity` samples.
    pub fn new(capacity: usize) -> Self {
        let samples = (0..capacity).map(|_| AtomicU32::new(0)).collect();
        Self { samples, len: AtomicUsize::new(0), open: AtomicBool::new(true) }
    }

    /// A finished clip.
    pub fn of(samples: &[f32]) -> Self {
        let sound = Self::new(samples.len());
        sound.push(samples);
        sound.close();
        sound
    }

    /// Adds samples, for one writer; what is beyond the capacity is left out.
    pub fn push(&self, samples: &[f32]) {
        let from = self.len();
        let room = &self.samples[from..];
        room.iter().zip(samples).for_each(|(slot, s)| slot.store(s.to_bits(), Relaxed));
        self.len.store(from + samples.len().min(room.len()), Release);
    }

    /// Nothing more comes.
    pub fn close(&self) {
        self.open.store(false, Release);
    }

    /// Whether more may come.
    pub fn is_open(&self) -> bool {
        self.open.load(Acquire)
    }

    /// Samples there are.
    pub fn len(&self) -> usize {
        self.len.load(Acquire)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn at(&self, position: usize) -> f32 {
        f32::from_bits(self.samples[position].load(Relaxed))
    }
}

/// What the listener wants and what the callback reports. Positions are samples at the device's rate.
pub struct Transport {
    playing: AtomicBool,
    volume: AtomicU32,
    jump: AtomicUsize,
    loop_from: AtomicUsize,
    loop_to: AtomicUsize,
    position: AtomicUsize,
    /// Samples asked for while an unfinished clip had none.
    pub missing: AtomicUsize,
    /// Times the callback was called.
    pub calls: AtomicUsize,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            playing: AtomicBool::new(false),
            volume: AtomicU32::new(1f32.to_bits()),
            jump: AtomicUsize::new(NO_JUMP),
            loop_from: AtomicUsize::new(0),
            loop_to: AtomicUsize::new(0),
            position: AtomicUsize::new(0),
            missing: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        }
    }
}

impl Transport {
    /// Starts or stops.
    pub fn play(&self, playing: bool) {
        self.playing.store(playing, Relaxed);
    }

    /// Whether it plays; the callback stops at a clip's end.
    pub fn is_playing(&self) -> bool {
        self.playing.load(Relaxed)
    }

    /// Gain, 0 to 1.
    pub fn set_volume(&self, volume: f32) {
        self.volume.store(volume.clamp(0.0, 1.0).to_bits(), Relaxed);
    }

    /// Where to go on.
    pub fn seek(&self, position: usize) {
        self.jump.store(position, Release);
    }

    /// Plays `from..to` over and over; `None` for the whole clip once.
    pub fn set_loop(&self, region: Option<(usize, usize)>) {
        let (from, to) = region.unwrap_or((0, 0));
        self.loop_to.store(0, Relaxed);
        self.loop_from.store(from, Relaxed);
        self.loop_to.store(to, Release);
    }

    /// Where it is; a jump that has not been made yet counts.
    pub fn position(&self) -> usize {
        match self.jump.load(Acquire) {
            NO_JUMP => self.position.load(Relaxed),
            to => to,
        }
    }
}

/// The callback's own state.
#[derive(Debug, Default)]
pub struct Playhead {
    position: usize,
    /// How far the fade is open, in samples, 0 to the fade's length.
    fade: usize,
}

/// Fills `out` (mono) from `sound`, with silence where there is none yet. At a stop, a jump or a loop's end the sound fades out, then the position moves, then it fades in.
pub fn render(head: &mut Playhead, sound: Option<&Sound>, t: &Transport, fade: usize, out: &mut [f32]) {
    t.calls.fetch_add(1, Relaxed);
    let volume = f32::from_bits(t.volume.load(Relaxed));
    let region = (t.loop_from.load(Relaxed), t.loop_to.load(Acquire));
    let region = (region.1 > region.0).then_some(region);
    // Asked in this order: a clip that is closed has all its samples.
    let open = sound.is_none_or(Sound::is_open);
    let len = sound.map_or(0, Sound::len);
    let mut missing = 0;
    for sample in out {
        let jump = t.jump.load(Relaxed);
        let playing = t.playing.load(Relaxed);
        // A loop fades out in its last samples, a clip plays to its end.
        let loop_ends = region.is_some_and(|(_, to)| head.position < to && head.position + fade >= to);
        let opening = playing && jump == NO_JUMP && !loop_ends;
        head.fade = if opening { (head.fade + 1).min(fade) } else { head.fade.saturating_sub(1) };
        if head.fade == 0 && jump != NO_JUMP {
            head.position = jump;
            // If another jump came meanwhile, the next sample makes it.
            let _ = t.jump.compare_exchange(jump, NO_JUMP, AcqRel, Relaxed);
        } else if let Some((from, to)) = region
            && head.fade == 0
            && playing
            && (head.position + fade >= to)
            && head.position < to
        {
            head.position = from;
        }
        *sample = 0.0;
        if head.fade == 0 {
            continue;
        }
        match sound {
            Some(sound) if head.position < len => {
                *sample = sound.at(head.position) * volume * raised_cosine(head.fade, fade);
                head.position += 1;
            }
            _ if open => missing += 1,
            _ => {
                head.fade = 0;
                t.playing.store(false, Relaxed);
            }
        }
    }
    t.position.store(head.position, Relaxed);
    t.missing.fetch_add(missing, Relaxed);
}

/// Gain of a fade that is open by `open` of `fade` samples.
fn raised_cosine(open: usize, fade: usize) -> f32 {
    if open >= fade {
        return 1.0;
    }
    0.5 - 0.5 * (std::f32::consts::PI * open as f32 / fade as f32).cos()
}

/// Which clip plays: the callback takes new ones from a ring and gives old ones back through another, so that none is dropped there.
pub struct Deck {
    head: Playhead,
    sound: Option<Arc<Sound>>,
    incoming: rtrb::Consumer<Arc<Sound>>,
    outgoing: rtrb::Producer<Arc<Sound>>,
    transport: Arc<Transport>,
    fade: usize,
}

/// The other ends of a [`Deck`]'s rings.
pub struct Feeder {
    incoming: rtrb::Producer<Arc<Sound>>,
    outgoing: rtrb::Consumer<Arc<Sound>>,
}

impl Deck {
    /// For a device at `rate`.
    pub fn new(transport: Arc<Transport>, rate: usize) -> (Self, Feeder) {
        let (to_deck, incoming) = rtrb::RingBuffer::new(8);
        let (outgoing, from_deck) = rtrb::RingBuffer::new(16);
        let fade = (rate as f64 * FADE_SECONDS) as usize;
        let head = Playhead { position: transport.position(), fade: 0 };
        let deck = Self { head, sound: None, incoming, outgoing, transport, fade };
        (deck, Feeder { incoming: to_deck, outgoing: from_deck })
    }

    /// The callback.
    pub fn render(&mut self, out: &mut [f32]) {
        // A clip is changed only while there is room to give the old one back.
        while !self.outgoing.is_full()
            && let Ok(new) = self.incoming.pop()
        {
            if let Some(old) = self.sound.replace(new) {
                let _ = self.outgoing.push(old);
            }
        }
        render(&mut self.head, self.sound.as_deref(), &self.transport, self.fade, out);
    }
}

impl Feeder {
    /// Puts `sound` on the deck and drops the ones that came back.
    pub fn put(&mut self, sound: Arc<Sound>) {
        while self.outgoing.pop().is_ok() {}
        // Full only where the device has stopped calling; then the stream is rebuilt, and the clip put again.
        let _ = self.incoming.push(sound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FADE: usize = 4;

    fn run(head: &mut Playhead, sound: &Sound, t: &Transport, n: usize) -> Vec<f32> {
        let mut out = vec![9.0; n];
        render(head, Some(sound), t, FADE, &mut out);
        out
    }

    fn shape(open: usize) -> f32 {
        raised_cosine(open, FADE)
    }

    #[test]
    fn a_clip_fades_in_plays_and_stops_at_its_end() {
        let (sound, t, mut head) = (Sound::of(&[1.0; 6]), Transport::default(), Playhead::default());
        assert_eq!(run(&mut head, &sound, &t, 2), [0.0; 2], "silent until told");
        t.play(true);
        assert_eq!(run(&mut head, &sound, &t, 8), [shape(1), shape(2), shape(3), 1.0, 1.0, 1.0, 0.0, 0.0]);
        assert!(!t.is_playing());
        assert_eq!(t.position(), 6);
    }

    #[test]
    fn a_jump_fades_out_moves_and_fades_in() {
        let samples: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let (sound, t, mut head) = (Sound::of(&samples), Transport::default(), Playhead::default());
        t.play(true);
        run(&mut head, &sound, &t, 10);
        t.seek(50);
        assert_eq!(t.position(), 50);
        let expected = [
            10.0 * shape(3),
            11.0 * shape(2),
            12.0 * shape(1),
            0.0,
            50.0 * shape(1),
            51.0 * shape(2),
            52.0 * shape(3),
            53.0,
        ];
        assert_eq!(run(&mut head, &sound, &t, 8), expected);
        assert_eq!(t.position(), 54);
    }

    #[test]
    fn a_loop_goes_round_with_its_own_fades_and_volume_scales() {
        let (sound, t, mut head) = (Sound::of(&[1.0; 64]), Transport::default(), Playhead::default());
        t.set_volume(0.5);
        t.set_loop(Some((8, 20)));
        t.seek(8);
        t.play(true);
        let out = run(&mut head, &sound, &t, 200);
        assert!(t.is_playing() && (8..20).contains(&t.position()), "{}", t.position());
        assert!(out.iter().all(|s| *s <= 0.5));
        // A step is never larger than the fade's steepest.
        let steepest = (shape(2) - shape(1)).max(shape(3) - shape(2)) * 0.5 + 1e-6;
        assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() <= steepest));
        assert!(out.iter().filter(|s| **s == 0.0).count() > 5, "it went round many times");
    }

    #[test]
    fn an_unfinished_clip_is_waited_for_and_loses_nothing() {
        let (sound, t, mut head) = (Sound::new(10), Transport::default(), Playhead::default());
        t.play(true);
        sound.push(&[1.0; 5]);
        assert_eq!(run(&mut head, &sound, &t, 8)[5..], [0.0; 3]);
        assert!(t.is_playing());
        assert_eq!((t.missing.load(Relaxed), t.position()), (3, 5));
        sound.push(&[0.25; 9]);
        sound.close();
        assert_eq!(sound.len(), 10, "what is beyond the room is left out");
        assert_eq!(run(&mut head, &sound, &t, 6), [0.25, 0.25, 0.25, 0.25, 0.25, 0.0]);
    }

    #[test]
    fn a_deck_gives_old_clips_back() {
        let t = Arc::new(Transport::default());
        let (mut deck, mut feeder) = Deck::new(t.clone(), 1_000);
        let (a, b) = (Arc::new(Sound::of(&[1.0; 50])), Arc::new(Sound::of(&[0.5; 50])));
        t.play(true);
        let mut out = [0.0; 20];
        feeder.put(a.clone());
        deck.render(&mut out);
        assert_eq!(out[19], 1.0);
        feeder.put(b);
        deck.render(&mut out);
        assert_eq!(out[19], 0.5);
        assert_eq!(Arc::strong_count(&a), 2, "it waits in the ring");
        feeder.put(Arc::new(Sound::new(0)));
        assert_eq!(Arc::strong_count(&a), 1);
    }
}
