"use strict";
// A listening test: one question a screen; an answer once most of every sound was heard; kept in the browser after each answer, saved
// as a file or sent at the end.
(() => {
  const test = JSON.parse(document.getElementById("test").textContent);
  const screen = document.getElementById("screen"), status = document.getElementById("status");
  const key = `csm-listen-${test.sha256}`;
  const FADE = 0.005;
  const parameters = new URLSearchParams(location.search);
  const { buttons = [], sliders } = test.form;

  const fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const t = (name, values) => fill(test.texts[name], values);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const lists = (() => {
    const scrambled = bytes(test.lists);
    const plain = scrambled.map((byte, n) => byte ^ test.sha256.charCodeAt(n % test.sha256.length));
    return JSON.parse(new TextDecoder().decode(plain));
  })();

  // What is kept in the browser.
  let storage = null;
  try { localStorage.setItem(`${key}-try`, ""); localStorage.removeItem(`${key}-try`); storage = localStorage; } catch { /* blocked */ }
  const empty = () => ({
    format: "csm-listening-results/2", test_sha256: test.sha256, listener: "", device: "", version: test.version,
    list: drawList(), questionnaire: {}, headphone_check: null, answers: [],
  });
  function drawList() {
    const number = Number(parameters.get("number"));
    if (Number.isInteger(number) && number > 0) return (number - 1) % lists.length;
    return crypto.getRandomValues(new Uint32Array(1))[0] % lists.length;
  }
  const stored = () => { try { return JSON.parse(storage?.getItem(key) ?? "null"); } catch { return null; } };
  let results = stored() ?? empty();
  let saved = results.answers.length === 0;
  const keep = () => {
    saved = false;
    try { storage?.setItem(key, JSON.stringify(results)); } catch { storage = null; }
  };

  // One tab at a time: the newest one that was begun asks the others to step aside, and answers of two are never mixed.
  const tab = crypto.getRandomValues(new Uint32Array(2)).join("-");
  let stopped = false;
  const claim = () => { try { storage?.setItem(`${key}-tab`, tab); } catch { /* one tab is all there is then */ } };
  addEventListener("storage", (event) => {
    if (event.key === `${key}-tab` && event.newValue && event.newValue !== tab && begun) stepAside();
  });
  function stepAside() {
    stopped = true;
    stop();
    screen.replaceChildren(element("h1", t("title")), element("p", t("otherTab")));
  }

  function element(name, text, parent, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    if (text !== undefined) made.textContent = text;
    parent?.appendChild(made);
    return made;
  }
  const button = (text, parent, click, className = "") => {
    const made = element("button", text, parent, { className, type: "button" });
    made.addEventListener("click", click);
    return made;
  };
  const field = (label, parent, control) => {
    const row = element("label", label, element("p", undefined, parent));
    row.appendChild(control);
    return control;
  };
  /// Shows a new screen with a heading, which has the focus.
  const screenOf = (heading) => {
    screen.replaceChildren();
    status.textContent = "";
    const title = element("h1", heading, screen, { tabIndex: -1 });
    title.focus();
    return title;
  };

  let context = null, buffers = [], begun = false;
  async function load() {
    screenOf(t("loading"));
    context = new AudioContext();
    try {
      buffers = [];
      for (const sound of test.sounds) buffers.push(await context.decodeAudioData(bytes(sound).buffer));
    } catch {
      screenOf(t("soundBroken"));
      return false;
    }
    return true;
  }

  // Playback, and which parts of each sound were heard.
  let playing = null, heard = [];
  function stop() {
    if (!playing) return 0;
    const at = context.currentTime, { source, gain, button: n, begun: zero, from, length } = playing;
    gain.gain.cancelScheduledValues(at);
    gain.gain.setValueAtTime(gain.gain.value, at);
    gain.gain.linearRampToValueAtTime(0, at + FADE);
    source.stop(at + FADE);
    source.onended = null;
    playing = null;
    const position = Math.min(Math.max(at - zero, 0), length);
    if (n !== null && position > from) (heard[n] ??= []).push([from, position]);
    return position;
  }
  // `part`: seconds of a word that is played again and again.
  function start(buffer, n, from, delay, part = null) {
    const source = new AudioBufferSourceNode(context, { buffer }), gain = new GainNode(context, { gain: 0 });
    const at = context.currentTime + delay;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(1, at + FADE);
    source.connect(gain).connect(context.destination);
    if (part) Object.assign(source, { loop: true, loopStart: part[0], loopEnd: part[1] });
    source.start(at, from);
    source.onended = () => { stop(); mark(); };
    playing = { source, gain, button: n, begun: at - from, from, length: part ? part[1] : buffer.duration };
  }
  function play(n) {
    const switching = playing !== null && playing.button !== n;
    const position = stop();
    const buffer = buffers[sounds()[n]];
    if (current.word !== null) {
      const [, from, to] = wordsOf(n)[current.word];
      start(buffer, n, from, switching ? FADE : 0, [from, to]);
      current.last = n;
      return mark();
    }
    // Another button continues at the same moment; the same one begins again.
    start(buffer, n, switching && position < buffer.duration ? position : 0, switching ? FADE : 0);
    current.last = n;
    mark();
  }
  function secondsHeard(n) {
    const parts = [...(heard[n] ?? [])];
    if (playing?.button === n) parts.push([playing.from, Math.min(context.currentTime - playing.begun, playing.length)]);
    parts.sort((a, b) => a[0] - b[0]);
    let total = 0, end = -Infinity;
    for (const [from, to] of parts) { total += Math.max(0, to - Math.max(from, end)); end = Math.max(end, to); }
    return total;
  }
  const wasHeard = (n) => secondsHeard(n) >= test.heard * buffers[sounds()[n]].duration;

  // The open trial.
  const list = () => lists[results.list];
  const trial = () => list().find((p) => !results.answers.some((answer) => answer.trial === p.trial));
  const sounds = () => { const { sounds: all, x } = trial(); return x === null ? all : [...all, all[x]]; };
  const name = (n) => {
    if (n < trial().stimuli.length) return String.fromCharCode(65 + n);
    return test.extra === "X" ? "X" : t("reference");
  };
  const missing = () => sounds().map((_, n) => n).filter((n) => !wasHeard(n));
  const unrated = () => sliders ? trial().stimuli.map((_, n) => n).filter((n) => current.values[n] === undefined) : [];
  // Words that all sounds of the trial say.
  const wordsOf = (n) => test.words[sounds()[n]];
  const words = () => {
    const texts = sounds().map((_, n) => wordsOf(n).map(([word]) => word));
    return texts.every((all) => all.length === texts[0].length && all.every((word, i) => word === texts[0][i])) ? texts[0] : [];
  };
  let current = null;

  // Screens before the trials, in their order.
  function welcome() {
    screenOf(t("title"));
    element("p", test.question, screen);
    for (const paragraph of test.instructions.split(/\n\s*\n/).filter((text) => text.trim())) element("p", paragraph, screen);
    const answered = results.answers.length;
    const note = t("questions", { n: list().length, minutes: test.minutes });
    element("p", answered ? `${note} ${t("answered", { n: answered })}` : note, screen);
    if (!storage) element("p", t("noStorage"), screen, { className: "warning" });
    const platform = parameters.get("PROLIFIC_PID");
    const who = field(t("name"), screen, element("input", undefined, null, { type: "text", value: platform ?? results.listener }));
    const device = field(t("device"), screen, element("input", undefined, null, { type: "text", value: results.device }));
    button(answered ? t("continue") : t("begin"), screen, async () => {
      const listener = who.value.trim() || t("noName");
      // Another tab may have gone on since this one was opened.
      const kept = stored();
      if (kept && kept.answers.length > results.answers.length) { results = kept; return welcome(); }
      // Answers belong to who gave them.
      if (answered && listener !== results.listener) return startOver(listener);
      results.listener = listener;
      results.device = device.value.trim();
      begun = true;
      claim();
      keep();
      if (await load()) nextStep([volumePage, headphoneCheck, questionnaire]);
    }, "primary");
    if (answered) button(t("startOver"), screen, () => startOver(""));
  }
  /// Asks before answers of another listener are deleted.
  function startOver(listener) {
    stop();
    if (!results.answers.length || saved) return deleteAndBegin(listener);
    screenOf(t("startOver"));
    element("p", t("startOverConfirm", { n: results.answers.length, listener: results.listener }), screen);
    button(t("saveFirst"), screen, () => { saveFile(); deleteAndBegin(listener); }, "primary");
    button(t("discard"), screen, () => deleteAndBegin(listener));
    button(t("cancel"), screen, () => { screen.replaceChildren(); welcome(); });
  }
  function deleteAndBegin(listener) {
    results = { ...empty(), listener };
    begun = false;
    keep();
    saved = true;
    screen.replaceChildren();
    welcome();
  }
  function nextStep(steps) {
    const [step, ...rest] = steps;
    if (!step) return show();
    step(() => nextStep(rest));
  }
  function volumePage(done) {
    if (!test.volumePage) return done();
    screenOf(t("volumeTitle"));
    element("p", t("volumeText"), screen);
    button(t("playVolume"), screen, () => { stop(); start(buffers[list()[0].sounds[0]], null, 0, 0); });
    button(t("volumeReady"), screen, () => { stop(); done(); }, "primary");
  }
  /// Three tones, one of them softer and one in opposite phase on both sides, which loudspeakers cancel (Woods and others 2017).
  function headphoneCheck(done) {
    if (!test.headphoneCheck || results.headphone_check?.right + 1 >= results.headphone_check?.of) return done();
    const QUESTIONS = 6;
    let right = 0, asked = 0;
    const ask = () => {
      const order = ["soft", "phase", "plain"].map((kind) => [Math.random(), kind]).sort((a, b) => a[0] - b[0]).map(([, kind]) => kind);
      screenOf(t("headphoneTitle"));
      element("p", `${t("headphoneText")} (${asked + 1}/${QUESTIONS})`, screen);
      button(t("headphonePlay"), screen, () => { stop(); start(tones(order), null, 0, 0); });
      ["headphoneOne", "headphoneTwo", "headphoneThree"].forEach((label, n) => button(t(label), screen, () => {
        stop();
        right += order[n] === "soft";
        asked += 1;
        if (asked < QUESTIONS) return ask();
        results.headphone_check = { right, of: QUESTIONS };
        keep();
        if (right + 1 >= QUESTIONS) return done();
        screenOf(t("headphoneTitle"));
        element("p", t("headphoneFailed"), screen);
        button(t("tryAgain"), screen, () => { right = 0; asked = 0; ask(); }, "primary");
        button(t("continue"), screen, done);
      }));
    };
    ask();
  }
  function tones(order) {
    const rate = context.sampleRate, TONE = 1.0, GAP = 0.5, RAMP = 0.1;
    const buffer = new AudioBuffer({ length: Math.round(rate * 3 * (TONE + GAP)), numberOfChannels: 2, sampleRate: rate });
    order.forEach((kind, place) => {
      for (let n = 0; n < TONE * rate; n += 1) {
        const envelope = Math.min(1, n / (RAMP * rate), (TONE * rate - n) / (RAMP * rate));
        const sample = (kind === "soft" ? 0.5 : 1) * 0.3 * envelope * Math.sin((2 * Math.PI * 200 * n) / rate);
        const at = Math.round(place * (TONE + GAP) * rate) + n;
        buffer.getChannelData(0)[at] = sample;
        buffer.getChannelData(1)[at] = kind === "phase" ? -sample : sample;
      }
    });
    return buffer;
  }
  function questionnaire(done) {
    const open = test.questionnaire.filter(({ question }) => !(question in results.questionnaire));
    if (!open.length) return done();
    screenOf(t("aboutYou"));
    const fields = open.map(({ question, answers }) => {
      const control = element(answers.length ? "select" : "input", undefined, null, answers.length ? {} : { type: "text" });
      if (answers.length) ["", ...answers].forEach((answer) => element("option", answer, control, { value: answer }));
      return [question, field(question, screen, control)];
    });
    button(t("next"), screen, () => {
      const first = fields.find(([, control]) => !control.value.trim());
      if (first) return first[1].focus();
      for (const [question, control] of fields) results.questionnaire[question] = control.value.trim();
      keep();
      done();
    }, "primary");
  }

  function show() {
    if (stopped) return;
    if (!trial()) return finish();
    const n = results.answers.length, all = list().length;
    current = { started: performance.now(), values: [], last: null, word: null };
    heard = [];
    screenOf(test.question);
    const bar = element("progress", undefined, screen, { max: all, value: n });
    bar.setAttribute("aria-label", t("progress", { n: n + 1, all }));
    element("p", t("progress", { n: n + 1, all }), screen, { className: "weak" });
    if (trial().training) element("p", t("practice"), screen, { className: "weak" });
    const row = element("div", undefined, screen, { className: "sounds" });
    sounds().forEach((_, k) => {
      const made = button(`▶ ${name(k)}`, row, () => play(k));
      made.setAttribute("aria-keyshortcuts", String(k + 1));
    });
    if (words().length) {
      const loops = element("div", undefined, screen, { className: "words" });
      element("span", t("loopWord"), loops, { className: "weak" });
      words().forEach((word, k) => {
        const made = button(word, loops, () => {
          current.word = current.word === k ? null : k;
          if (current.word === null) { stop(); mark(); } else play(current.last ?? 0);
        });
        made.setAttribute("aria-pressed", "false");
      });
    }
    if (sliders) trial().stimuli.forEach((_, k) => scale(k));
    const votes = element("div", undefined, screen, { className: "votes" });
    for (const { label, choice, key: shortcut } of buttons) {
      const made = button(label, votes, () => answer(choice));
      made.setAttribute("aria-keyshortcuts", shortcut);
    }
    if (sliders) button(t("next"), votes, () => answer({ values: [...current.values] }), "primary");
    element("p", "", screen, { className: "weak hint" });
    if (n) button(t("undo"), screen, undo, "undo");
    element("p", keysText(), screen, { className: "weak" });
    row.querySelector("button").focus();
    mark();
  }
  const answersByDigit = buttons.some((b) => /[0-9]/.test(b.key));
  function keysText() {
    const play = answersByDigit ? sounds().map((_, n) => name(n).toLowerCase()).join(", ") : sounds().map((_, n) => n + 1).join(", ");
    const parts = [t("keysPlay", { keys: play })];
    parts.push(sliders ? t("keysRate") : t("keysAnswer", { keys: buttons.map((b) => b.key).join(", ") }));
    if (results.answers.length) parts.push(t("keysUndo"));
    return parts.join("; ");
  }
  function scale(n) {
    const { min, max, labels } = sliders;
    const row = element("label", undefined, screen, { className: "scale" });
    element("span", name(n), row);
    const input = element("input", undefined, row, { type: "range", min, max, step: 1, value: (min + max) / 2, className: "unrated" });
    const shown = element("output", t("notRated"), row);
    input.setAttribute("aria-valuetext", t("notRated"));
    const set = () => {
      const word = labels[Math.min(labels.length - 1, Math.floor(((input.value - min) / (max - min)) * labels.length))];
      current.values[n] = Number(input.value);
      input.classList.remove("unrated");
      shown.textContent = `${input.value} ${word}`;
      input.setAttribute("aria-valuetext", shown.textContent);
      mark();
    };
    input.addEventListener("input", set);
    // A click on the middle moves nothing, but is a rating; so is Enter.
    input.addEventListener("pointerup", set);
    input.addEventListener("keydown", (event) => { if (event.key === "Enter" && !input.disabled) { set(); event.preventDefault(); } });
    input.rate = (value) => { input.value = value; set(); };
  }

  function mark() {
    if (!current || stopped || !trial()) return;
    screen.querySelectorAll(".sounds button").forEach((b, n) => {
      b.classList.toggle("playing", playing?.button === n);
      b.classList.toggle("heard", wasHeard(n));
    });
    screen.querySelectorAll(".words button").forEach((b, n) => { b.setAttribute("aria-pressed", String(current.word === n)); });
    screen.querySelectorAll(".scale input").forEach((input, n) => { input.disabled = !(current.last === n || wasHeard(n)); });
    const [unheard, left] = [missing(), unrated()];
    screen.querySelectorAll(".votes button").forEach((b) => { b.disabled = unheard.length > 0 || left.length > 0; });
    const hint = screen.querySelector(".hint");
    const names = (numbers) => numbers.map(name).join(", ");
    hint.textContent = unheard.length ? t("listenFirst", { missing: names(unheard) }) : left.length ? t("moveFirst", { missing: names(left) }) : "";
  }
  setInterval(() => { if (playing && playing.button !== null) mark(); }, 100);

  function answer(choice) {
    if (stopped || missing().length || unrated().length) return;
    stop();
    const { trial: number, stimuli, x } = trial();
    results.answers.push({
      trial: number, stimuli, x, choice, at: Math.floor(Date.now() / 1000), seconds: (performance.now() - current.started) / 1000,
      heard: sounds().map((_, n) => secondsHeard(n)),
    });
    keep();
    const counted = results.answers.length;
    if (test.breakEvery && trial() && counted % test.breakEvery === 0) return takeBreak(counted);
    show();
  }
  function takeBreak(n) {
    screenOf(t("break"));
    element("p", t("breakText", { n, all: list().length }), screen);
    button(t("continue"), screen, show, "primary");
  }
  function undo() {
    if (stopped || !results.answers.length) return;
    stop();
    const { choice } = results.answers.pop();
    keep();
    show();
    heard = sounds().map((n) => [[0, buffers[n].duration]]);
    if (sliders) { mark(); screen.querySelectorAll(".scale input").forEach((input, n) => input.rate(choice.values[n])); }
    mark();
  }

  function saveFile() {
    const file = new Blob([JSON.stringify(results, null, 2)], { type: "application/json" });
    const listener = results.listener.replace(/[^\p{L}\p{N}]+/gu, "-");
    const link = element("a", undefined, document.body, { href: URL.createObjectURL(file), download: `results-${listener}.json` });
    link.click();
    link.remove();
    saved = true;
  }
  async function finish() {
    current = null;
    screenOf(t("thanks"));
    const note = element("p", "", screen);
    if (test.completion) element("p", test.completion, screen, { className: "completion" });
    if (test.post) {
      note.textContent = t("sending");
      try {
        const sent = await fetch(test.post, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(results) });
        if (!sent.ok) throw new Error(`HTTP ${sent.status}`);
        note.textContent = t("sent");
        saved = true;
      } catch (error) {
        note.textContent = t("sendFailed", { reason: error.message });
        note.className = "warning";
      }
    } else {
      // Saved by itself: nothing is lost with the tab.
      saveFile();
      note.textContent = t("saved");
    }
    button(t("save"), screen, saveFile, "primary");
    button(t("undo"), screen, undo);
    button(t("anotherListener"), screen, () => startOver(""));
  }

  addEventListener("keydown", (event) => {
    const at = event.target;
    if (!context || stopped || !current || !trial() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (at.matches("input[type=text], select")) return;
    const pressed = event.key.toLowerCase();
    const number = Number(pressed);
    const vote = buttons.find((b) => b.key === pressed);
    const letter = answersByDigit ? sounds().findIndex((_, n) => name(n).toLowerCase() === pressed) : -1;
    if (vote) answer(vote.choice);
    else if (letter >= 0) play(letter);
    else if (!answersByDigit && number >= 1 && number <= sounds().length) play(number - 1);
    else if (pressed === "u") undo();
    // Space and Enter belong to the button that has the focus.
    else if (pressed === " " && !at.matches("button, input")) play(playing?.button ?? current.last ?? 0);
    else return;
    event.preventDefault();
  });
  addEventListener("beforeunload", (event) => {
    if (!saved && !storage && results.answers.length) event.preventDefault();
  });

  welcome();
})();
