"use strict";
// A listening test: one question a screen, answers only to what was heard, kept in the browser until they are saved as a file.
(() => {
  const test = JSON.parse(document.getElementById("test").textContent);
  const screen = document.getElementById("screen");
  const key = `csm-listen-${test.sha256}`;
  const FADE = 0.005;
  let results = { format: "csm-listening-results/1", test_sha256: test.sha256, listener: "", device: "", version: test.version, answers: [] };
  let context, buffers = [], playing = null, started = 0, heard = new Set(), values = [], last = null;

  try { results = JSON.parse(localStorage.getItem(key)) ?? results; } catch { /* nothing kept, or nothing can be */ }
  const keep = () => { try { localStorage.setItem(key, JSON.stringify(results)); } catch { /* saved at the end all the same */ } };

  function element(name, text, parent, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    if (text !== undefined) made.textContent = text;
    parent?.appendChild(made);
    return made;
  }
  const button = (text, parent, click, className = "") => {
    const made = element("button", text, parent, { className });
    made.addEventListener("click", click);
    return made;
  };
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

  async function begin() {
    context = new AudioContext();
    buffers = await Promise.all(test.sounds.map((sound) => context.decodeAudioData(bytes(sound))));
    show();
  }

  function welcome() {
    element("h1", "Listening test", screen);
    element("p", test.question, screen);
    const again = results.answers.length;
    element("p", `${test.trials.length} questions${again ? `, ${again} answered before` : ""}. Listen with headphones in a quiet place.`, screen);
    const name = element("input", undefined, element("p", "Your name: ", screen), { type: "text", value: results.listener });
    const device = element("input", undefined, element("p", "Headphones or loudspeakers: ", screen), { type: "text", value: results.device });
    button(again ? "Go on" : "Begin", screen, () => {
      const listener = name.value.trim() || "anonymous";
      // Answers belong to who gave them: another name begins anew.
      if (again && listener !== results.listener) results = { ...results, answers: [] };
      results.listener = listener;
      results.device = device.value.trim();
      keep();
      begin();
    }, "primary");
    if (again) button("Begin anew as another listener", screen, anew);
  }

  function anew() {
    stop();
    results = { ...results, listener: "", device: "", answers: [] };
    [heard, values, last] = [new Set(), [], null];
    keep();
    screen.replaceChildren();
    welcome();
  }

  const trial = () => test.trials[results.answers.length];
  function sounds() {
    const { stimuli, x } = trial();
    return x === null ? stimuli : [...stimuli, stimuli[x]];
  }
  const names = (n) => n === trial().stimuli.length ? "X" : String.fromCharCode(65 + n);
  const { buttons = [], sliders } = test.form;
  const answersByDigit = buttons.some((b) => /[0-9]/.test(b.key));

  function stop() {
    if (!playing) return 0;
    const at = context.currentTime, { source, gain, begun, length } = playing;
    gain.gain.setValueAtTime(1, at);
    gain.gain.linearRampToValueAtTime(0, at + FADE);
    source.stop(at + FADE);
    source.onended = null;
    playing = null;
    return Math.min(at - begun, length);
  }

  function play(n) {
    const switching = playing !== null && playing.button !== n;
    const position = stop();
    const buffer = buffers[sounds()[n]];
    const source = new AudioBufferSourceNode(context, { buffer }), gain = new GainNode(context, { gain: 0 });
    // Another button goes on at the same moment; the same one begins again.
    const from = switching && position < buffer.duration ? position : 0;
    const at = context.currentTime + (switching ? FADE : 0);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(1, at + FADE);
    source.connect(gain).connect(context.destination);
    source.start(at, from);
    source.onended = () => { playing = null; mark(); };
    playing = { source, gain, button: n, begun: at - from, length: buffer.duration };
    heard.add(n);
    mark();
  }

  function mark() {
    screen.querySelectorAll(".sounds button").forEach((b, n) => {
      b.classList.toggle("playing", playing?.button === n);
      b.classList.toggle("heard", heard.has(n));
    });
    const all = sounds().every((_, n) => heard.has(n));
    screen.querySelectorAll(".votes button").forEach((b) => { b.disabled = !all; });
  }

  function answer(choice) {
    if (!sounds().every((_, n) => heard.has(n))) return;
    stop();
    results.answers.push({ trial: results.answers.length, choice, at: Math.floor(Date.now() / 1000), seconds: (performance.now() - started) / 1000 });
    keep();
    heard = new Set();
    values = [];
    last = null;
    show();
  }

  function undo() {
    if (!results.answers.length) return;
    stop();
    last = results.answers.pop().choice.values ?? null;
    keep();
    show();
    sounds().forEach((_, n) => heard.add(n));
    mark();
  }

  function scale(n, { min, max, start }, parent) {
    values[n] = last?.[n] ?? start;
    const row = element("label", undefined, parent, { className: "scale" });
    element("span", names(n), row);
    const input = element("input", undefined, row, { type: "range", min, max, step: 1, value: values[n] });
    const shown = element("span", String(values[n]), row);
    input.addEventListener("input", () => {
      // Only what is playing is rated.
      if (playing?.button !== n) { input.value = values[n]; return; }
      values[n] = Number(input.value);
      shown.textContent = input.value;
    });
  }

  function show() {
    screen.replaceChildren();
    if (!trial()) return finish();
    started = performance.now();
    const n = results.answers.length;
    element("progress", undefined, screen, { max: test.trials.length, value: n });
    element("p", `Question ${n + 1} of ${test.trials.length}`, screen, { className: "weak" });
    element("h1", test.question, screen);
    const row = element("div", undefined, screen, { className: "sounds" });
    sounds().forEach((_, k) => button(`▶ ${names(k)}`, row, () => play(k)));
    if (sliders) sounds().forEach((_, k) => scale(k, sliders, screen));
    const votes = element("div", undefined, screen, { className: "votes" });
    for (const { label, choice } of buttons) button(label, votes, () => answer(choice));
    if (sliders) button("Next", votes, () => answer({ values: [...values] }), "primary");
    if (n) button("Undo the last answer", screen, undo);
    const playKeys = answersByDigit ? "Space plays" : "1, 2, 3 … play";
    const answerKeys = sliders ? "Enter" : buttons.map((b) => b.key).join(", ");
    element("p", `${playKeys}; ${answerKeys} answers; u takes the last answer back`, screen, { className: "weak" });
    mark();
  }

  function finish() {
    element("h1", "Thank you", screen);
    element("p", "Save the results and send the file back. Nothing has been sent.", screen);
    button("Save the results", screen, () => {
      const file = new Blob([JSON.stringify(results, null, 2)], { type: "application/json" });
      const name = results.listener.replace(/[^\p{L}\p{N}]+/gu, "-");
      const link = element("a", undefined, screen, { href: URL.createObjectURL(file), download: `results-${name}.json` });
      link.click();
      link.remove();
      if (!screen.querySelector(".anew")) button("Another listener", screen, anew, "anew");
    }, "primary");
    button("Undo the last answer", screen, undo);
  }

  addEventListener("keydown", (event) => {
    if (!context || !trial() || event.target.matches("input[type=text]") || event.ctrlKey || event.metaKey) return;
    const number = Number(event.key);
    const pressed = buttons.find((b) => b.key === event.key);
    if (pressed) answer(pressed.choice);
    else if (number >= 1 && number <= sounds().length) play(number - 1);
    else if (event.key === " ") play(playing?.button ?? 0);
    else if (event.key === "u") undo();
    else if (event.key === "Enter" && sliders) answer({ values: [...values] });
    else return;
    event.preventDefault();
  });

  welcome();
})();
