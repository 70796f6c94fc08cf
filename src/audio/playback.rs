//! The audio callback: it reads shared samples at a position, with gain ramps at every jump. It takes no lock, allocates nothing
//! and drops no clip: a debug build, and the unit tests, abort if it does.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock};

use assert_no_alloc::assert_no_alloc;

/// Length of a fade at starts, stops and jumps, seconds.
pub const FADE_SECONDS: f64 = 0.005;
/// Shortest region that can be played, in seconds: two fades and the same length between them.
pub const SHORTEST_REGION: f64 = 0.02;
/// No jump is requested.
const NO_JUMP: usize = usize::MAX;

/// Samples of a chunk: 5.5 s at 48 kHz.
const CHUNK: usize = 1 << 18;
/// Chunks of a clip: 6 hours at 48 kHz.
const CHUNKS: usize = 1 << 12;

/// Samples that one thread appends while the callback reads. Memory grows by chunks, and a sample is never changed
/// once `len` covers it.
pub struct SharedAudio {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
    len: AtomicUsize,
    /// Whether more may come.
    open: AtomicBool,
}

impl Default for SharedAudio {
    fn default() -> Self {
        let chunks = (0..CHUNKS).map(|_| OnceLock::new()).collect();
        Self { chunks, len: AtomicUsize::new(0), open: AtomicBool::new(true) }
    }
}

impl SharedAudio {
    /// The waveform of a complete clip.
    pub fn finished(samples: &[f32]) -> Self {
        let audio = Self::default();
        audio.push(samples);
        audio.close();
        audio
    }

    /// Appends samples, for one writer. A clip of more than six hours loses its end.
    pub fn push(&self, samples: &[f32]) {
        let mut at = self.len();
        let mut rest = samples;
        while !rest.is_empty()
            && let Some(chunk) = self.chunks.get(at / CHUNK)
        {
            let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(0)).collect());
            let part = rest.len().min(CHUNK - at % CHUNK);
            chunk[at % CHUNK..].iter().zip(&rest[..part]).for_each(|(slot, s)| slot.store(s.to_bits(), Relaxed));
            (at, rest) = (at + part, &rest[part..]);
        }
        self.len.store(at, Release);
    }

    /// Marks the clip as complete.
    pub fn close(&self) {
        self.open.store(false, Release);
    }

    /// Whether more may come.
    pub fn is_open(&self) -> bool {
        self.open.load(Acquire)
    }

    /// Number of samples received so far.
    pub fn len(&self) -> usize {
        self.len.load(Acquire)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn at(&self, position: usize) -> f32 {
        let chunk = self.chunks.get(position / CHUNK).and_then(OnceLock::get);
        chunk.map_or(0.0, |chunk| f32::from_bits(chunk[position % CHUNK].load(Relaxed)))
    }
}

/// The listener's requests and the callback's reports. Positions are samples at the device's rate.
pub struct PlaybackControl {
    playing: AtomicBool,
    volume: AtomicU32,
    jump: AtomicUsize,
    region_from: AtomicUsize,
    region_to: AtomicUsize,
    /// Whether a region is played once, instead of again and again.
    once: AtomicBool,
    position: AtomicUsize,
    /// Samples that the device asked for while an unfinished clip had none.
    pub underrun_samples: AtomicUsize,
    /// Calls of the callback.
    pub calls: AtomicUsize,
}

impl Default for PlaybackControl {
    fn default() -> Self {
        Self {
            playing: AtomicBool::new(false),
            volume: AtomicU32::new(1f32.to_bits()),
            jump: AtomicUsize::new(NO_JUMP),
            region_from: AtomicUsize::new(0),
            region_to: AtomicUsize::new(0),
            once: AtomicBool::new(false),
            position: AtomicUsize::new(0),
            underrun_samples: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        }
    }
}

impl PlaybackControl {
    /// Starts or stops playing.
    pub fn set_playing(&self, playing: bool) {
        self.playing.store(playing, Relaxed);
    }

    /// Whether it plays; the callback stops it at a clip's end.
    pub fn is_playing(&self) -> bool {
        self.playing.load(Relaxed)
    }

    /// Gain, 0 to 1.
    pub fn set_volume(&self, volume: f32) {
        self.volume.store(volume.clamp(0.0, 1.0).to_bits(), Relaxed);
    }

    /// Moves the position to a sample.
    pub fn seek(&self, position: usize) {
        self.jump.store(position, Release);
    }

    /// Plays `from..to` once, or over and over; `None` for the whole clip once.
    pub fn set_region(&self, region: Option<(usize, usize)>, once: bool) {
        let (from, to) = region.unwrap_or((0, 0));
        self.region_to.store(0, Relaxed);
        self.region_from.store(from, Relaxed);
        self.once.store(once, Relaxed);
        self.region_to.store(to, Release);
    }

    /// The position; that of a jump if one is requested.
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

/// Fills `out` (mono) from `audio`, with silence where it has no samples yet. At a stop, a jump or a loop's end the sound fades
/// out, then the position moves, then it fades in. A region that is played once stops at its end, and the position returns to its
/// start. `closing`: it fades out to make room for another clip.
fn render(
    head: &mut Playhead,
    audio: Option<&SharedAudio>,
    t: &PlaybackControl,
    fade: usize,
    closing: bool,
    out: &mut [f32],
) {
    let volume = f32::from_bits(t.volume.load(Relaxed));
    let region = (t.region_from.load(Relaxed), t.region_to.load(Acquire));
    let region = (region.1 > region.0).then_some(region);
    // In this order: a clip that is closed has all its samples.
    let open = audio.is_none_or(SharedAudio::is_open);
    let len = audio.map_or(0, SharedAudio::len);
    let mut underrun = 0;
    for sample in out {
        let jump = t.jump.load(Relaxed);
        let playing = t.playing.load(Relaxed);
        // A region fades out in its last samples, a clip plays to its end.
        let region_ends = region.is_some_and(|(_, to)| head.position < to && head.position + fade >= to);
        let opening = playing && !closing && jump == NO_JUMP && !region_ends;
        head.fade = if opening { (head.fade + 1).min(fade) } else { head.fade.saturating_sub(1) };
        if head.fade == 0 && jump != NO_JUMP {
            head.position = jump;
            // If another jump came meanwhile, the next sample makes it.
            t.jump.compare_exchange(jump, NO_JUMP, AcqRel, Relaxed).ok();
        } else if let Some((from, to)) = region
            && head.fade == 0
            && playing
            && (head.position + fade >= to)
            && head.position < to
        {
            head.position = from;
            if t.once.load(Relaxed) {
                t.playing.store(false, Relaxed);
            }
        }
        *sample = 0.0;
        if head.fade == 0 {
            continue;
        }
        match audio {
            Some(audio) if head.position < len => {
                *sample = audio.at(head.position) * volume * raised_cosine(head.fade, fade);
                head.position += 1;
            }
            _ if open => underrun += 1,
            _ => {
                head.fade = 0;
                t.playing.store(false, Relaxed);
            }
        }
    }
    t.position.store(head.position, Relaxed);
    t.underrun_samples.fetch_add(underrun, Relaxed);
}

/// Gain of a fade that is open by `open` of `fade` samples.
fn raised_cosine(open: usize, fade: usize) -> f32 {
    if open >= fade {
        return 1.0;
    }
    0.5 - 0.5 * (std::f32::consts::PI * open as f32 / fade as f32).cos()
}

/// The callback's side: new clips arrive through a ring, and old ones leave through another to be dropped elsewhere.
pub struct Renderer {
    head: Playhead,
    audio: Option<Arc<SharedAudio>>,
    incoming: rtrb::Consumer<Arc<SharedAudio>>,
    outgoing: rtrb::Producer<Arc<SharedAudio>>,
    transport: Arc<PlaybackControl>,
    fade: usize,
}

/// The other ends of a [`Renderer`]'s rings.
pub struct ClipSender {
    incoming: rtrb::Producer<Arc<SharedAudio>>,
    outgoing: rtrb::Consumer<Arc<SharedAudio>>,
}

impl Renderer {
    /// For a device at `rate`.
    pub fn new(transport: Arc<PlaybackControl>, rate: usize) -> (Self, ClipSender) {
        let (to_renderer, incoming) = rtrb::RingBuffer::new(8);
        let (outgoing, from_renderer) = rtrb::RingBuffer::new(16);
        let fade = (rate as f64 * FADE_SECONDS) as usize;
        let head = Playhead { position: transport.position(), fade: 0 };
        let renderer = Self { head, audio: None, incoming, outgoing, transport, fade };
        (renderer, ClipSender { incoming: to_renderer, outgoing: from_renderer })
    }

    /// Fills a mono block. Another clip that has come takes over at the same position, after this one has faded out.
    pub fn render(&mut self, out: &mut [f32]) {
        assert_no_alloc(|| self.render_block(out));
    }

    fn render_block(&mut self, out: &mut [f32]) {
        self.transport.calls.fetch_add(1, Relaxed);
        let mut rest = out;
        // A clip is replaced only while there is room to return the old one.
        if !self.incoming.is_empty() && !self.outgoing.is_full() {
            let (closing, after) = rest.split_at_mut(self.head.fade.min(rest.len()));
            self.render_part(true, closing);
            rest = after;
            if self.head.fade == 0 {
                self.take_newest();
            }
        }
        self.render_part(false, rest);
    }

    fn render_part(&mut self, closing: bool, out: &mut [f32]) {
        render(&mut self.head, self.audio.as_deref(), &self.transport, self.fade, closing, out);
    }

    fn take_newest(&mut self) {
        while !self.outgoing.is_full()
            && let Ok(new) = self.incoming.pop()
        {
            if let Some(old) = self.audio.replace(new) {
                self.outgoing.push(old).ok();
            }
        }
    }
}

impl ClipSender {
    /// Sends a clip to the callback and drops the ones that came back.
    pub fn send(&mut self, audio: Arc<SharedAudio>) {
        while self.outgoing.pop().is_ok() {}
        // Full only if the device has stopped calling; then the stream is rebuilt and the clip sent again.
        self.incoming.push(audio).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FADE: usize = 4;

    fn run(head: &mut Playhead, audio: &SharedAudio, t: &PlaybackControl, n: usize) -> Vec<f32> {
        let mut out = vec![9.0; n];
        render(head, Some(audio), t, FADE, false, &mut out);
        out
    }

    fn shape(open: usize) -> f32 {
        raised_cosine(open, FADE)
    }

    #[test]
    fn a_clip_fades_in_plays_and_stops_at_its_end() {
        let (audio, t, mut head) = (SharedAudio::finished(&[1.0; 6]), PlaybackControl::default(), Playhead::default());
        assert_eq!(run(&mut head, &audio, &t, 2), [0.0; 2], "silent until it is started");
        t.set_playing(true);
        assert_eq!(run(&mut head, &audio, &t, 8), [shape(1), shape(2), shape(3), 1.0, 1.0, 1.0, 0.0, 0.0]);
        assert!(!t.is_playing());
        assert_eq!(t.position(), 6);
    }

    #[test]
    fn a_jump_fades_out_moves_and_fades_in() {
        let samples: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let (audio, t, mut head) = (SharedAudio::finished(&samples), PlaybackControl::default(), Playhead::default());
        t.set_playing(true);
        run(&mut head, &audio, &t, 10);
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
        assert_eq!(run(&mut head, &audio, &t, 8), expected);
        assert_eq!(t.position(), 54);
    }

    #[test]
    fn a_loop_goes_round_with_its_own_fades_and_volume_scales() {
        let (audio, t, mut head) = (SharedAudio::finished(&[1.0; 64]), PlaybackControl::default(), Playhead::default());
        t.set_volume(0.5);
        t.set_region(Some((8, 20)), false);
        t.seek(8);
        t.set_playing(true);
        let out = run(&mut head, &audio, &t, 200);
        assert!(t.is_playing() && (8..20).contains(&t.position()), "{}", t.position());
        assert!(out.iter().all(|s| *s <= 0.5));
        // A step is never larger than the fade's steepest.
        let steepest = (shape(2) - shape(1)).max(shape(3) - shape(2)) * 0.5 + 1e-6;
        assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() <= steepest));
        assert!(out.iter().filter(|s| **s == 0.0).count() > 5, "it went round many times");
    }

    #[test]
    fn a_region_is_played_once_and_nothing_outside_it_is_heard() {
        let samples: Vec<f32> = (0..64).map(|i| if (20..40).contains(&i) { 1.0 } else { -9.0 }).collect();
        let (audio, t, mut head) = (SharedAudio::finished(&samples), PlaybackControl::default(), Playhead::default());
        t.set_region(Some((20, 40)), true);
        t.seek(20);
        t.set_playing(true);
        let out = run(&mut head, &audio, &t, 60);
        assert!(out.iter().all(|s| (0.0..=1.0).contains(s)), "{out:?}");
        assert_eq!(out.iter().filter(|s| **s == 1.0).count(), 20 - 2 * FADE + 1);
        assert!(!t.is_playing() && t.position() == 20, "{}", t.position());
        // Without a region playback continues from there.
        t.set_region(None, false);
        t.set_playing(true);
        assert_eq!(run(&mut head, &audio, &t, 30)[24], -9.0);
    }

    #[test]
    fn an_unfinished_clip_is_waited_for_and_loses_nothing() {
        let (audio, t, mut head) = (SharedAudio::default(), PlaybackControl::default(), Playhead::default());
        t.set_playing(true);
        audio.push(&[1.0; 5]);
        assert_eq!(run(&mut head, &audio, &t, 8)[5..], [0.0; 3]);
        assert!(t.is_playing());
        assert_eq!((t.underrun_samples.load(Relaxed), t.position()), (3, 5));
        audio.push(&[0.25; 5]);
        audio.close();
        assert_eq!(run(&mut head, &audio, &t, 6), [0.25, 0.25, 0.25, 0.25, 0.25, 0.0]);
    }

    #[test]
    fn a_clip_grows_over_chunks() {
        let audio = SharedAudio::default();
        let samples: Vec<f32> = (0..CHUNK + 10).map(|i| i as f32).collect();
        samples.chunks(1_999).for_each(|part| audio.push(part));
        assert_eq!(audio.len(), samples.len());
        assert!([0, CHUNK - 1, CHUNK, CHUNK + 9].iter().all(|i| audio.at(*i) == samples[*i]));
    }

    /// Two tones that are a click apart wherever one is cut to the other: the switch stays below the steepest of the two, the position
    /// is exact, and only the fade is lost.
    #[test]
    fn a_switch_is_at_the_same_moment_and_without_a_click() {
        let (rate, hertz) = (48_000.0, 440.0);
        let tone = |phase: f64| -> Vec<f32> {
            let at = |n: usize| (2.0 * std::f64::consts::PI * (hertz * n as f64 / rate) + phase).sin() as f32;
            (0..20_000).map(at).collect()
        };
        let (first, second) = (tone(0.0), tone(std::f64::consts::PI));
        for block in [64, 100, 480, 1_024] {
            let t = Arc::new(PlaybackControl::default());
            let (mut renderer, mut sender) = Renderer::new(t.clone(), rate as usize);
            t.set_playing(true);
            sender.send(Arc::new(SharedAudio::finished(&first)));
            let mut out = Vec::new();
            let mut switched = false;
            while out.len() < 10_000 {
                if out.len() > 5_000 && !std::mem::replace(&mut switched, true) {
                    sender.send(Arc::new(SharedAudio::finished(&second)));
                }
                let mut part = vec![0.0; block];
                renderer.render(&mut part);
                out.extend(part);
            }
            let fade = renderer.fade;
            let step = out.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            let steepest = (2.0 * std::f64::consts::PI * hertz / rate) as f32 + 2.0 / fade as f32;
            assert!(step <= steepest, "block {block}: a step of {step}");
            // Between the fades one sample is silent, and the position does not move there.
            assert_eq!(t.position() + 1, out.len(), "block {block}");
            assert_eq!(
                out[out.len() - 1],
                second[t.position() - 1],
                "block {block}: the other clip at the same moment"
            );
        }
    }

    /// What a switch adds to a tone far from its own frequency: the power above 4 kHz of a window of 85 ms around it, in
    /// dB of full scale.
    fn splatter(samples: &[f32], rate: f64) -> f64 {
        const LENGTH: usize = 4_096;
        let transform = realfft::RealFftPlanner::<f64>::new().plan_fft_forward(LENGTH);
        let hann = |n: usize| 0.5 - 0.5 * (2.0 * std::f64::consts::PI * n as f64 / LENGTH as f64).cos();
        let mut windowed: Vec<f64> = (0..LENGTH).map(|n| f64::from(samples[n]) * hann(n)).collect();
        let mut spectrum = transform.make_output_vec();
        transform.process(&mut windowed, &mut spectrum).unwrap();
        let above = &spectrum[(4_000.0 / rate * LENGTH as f64) as usize..];
        // A sine of full scale has (LENGTH / 4)^2 in its bin, times 1.5 over the window's main lobe.
        let full = 1.5 * (LENGTH as f64 / 4.0).powi(2);
        10.0 * (above.iter().map(|x| x.norm_sqr()).sum::<f64>() / full).log10()
    }

    #[test]
    fn a_switch_adds_less_than_a_thousandth_of_full_scale_where_a_cut_adds_more() {
        let rate = 48_000.0;
        let tone = |phase: f64| -> Vec<f32> {
            let at = |n: usize| (2.0 * std::f64::consts::PI * 440.0 * n as f64 / rate + phase).sin() as f32;
            (0..20_000).map(at).collect()
        };
        let (first, second) = (tone(0.3), tone(0.3 + std::f64::consts::PI));
        let t = Arc::new(PlaybackControl::default());
        let (mut renderer, mut sender) = Renderer::new(t.clone(), rate as usize);
        t.set_playing(true);
        sender.send(Arc::new(SharedAudio::finished(&first)));
        let mut out = vec![0.0; 5_000];
        renderer.render(&mut out);
        sender.send(Arc::new(SharedAudio::finished(&second)));
        let mut after = vec![0.0; 5_000];
        renderer.render(&mut after);
        out.extend(after);
        let around = 5_000 - 1_900;
        let switched = splatter(&out[around..], rate);
        assert!(switched < -60.0, "{switched} dBFS");
        let cut: Vec<f32> = first[..5_000].iter().chain(&second[5_000..]).copied().collect();
        assert!(splatter(&cut[around..], rate) > -40.0, "a hard cut is audible: the measure can fail");
    }

    #[test]
    fn old_clips_come_back_from_the_callback() {
        let t = Arc::new(PlaybackControl::default());
        let (mut renderer, mut sender) = Renderer::new(t.clone(), 1_000);
        let (a, b) = (Arc::new(SharedAudio::finished(&[1.0; 50])), Arc::new(SharedAudio::finished(&[0.5; 50])));
        t.set_playing(true);
        let mut out = [0.0; 20];
        sender.send(a.clone());
        renderer.render(&mut out);
        assert_eq!(out[19], 1.0);
        sender.send(b);
        renderer.render(&mut out);
        assert_eq!(out[19], 0.5);
        assert_eq!(Arc::strong_count(&a), 2, "it waits in the ring to be dropped");
        sender.send(Arc::new(SharedAudio::finished(&[])));
        assert_eq!(Arc::strong_count(&a), 1);
    }
}
