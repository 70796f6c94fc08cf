"use strict";
// Plays each clip, moves a cursor over its lanes, and shows the candidates of the draw that is clicked.
(() => {
  const palettes = JSON.parse(document.getElementById("palette").textContent);
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const palette = () => palettes[darkness.matches ? "dark" : "light"];
  const clips = [];

  function fit(canvas) {
    const scale = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    return canvas.getContext("2d");
  }

  class Clip {
    constructor(section, number) {
      this.number = number;
      this.data = JSON.parse(section.querySelector("script").textContent);
      this.audio = section.querySelector("audio");
      this.wave = section.querySelector("canvas.wave");
      this.map = section.querySelector("canvas.map");
      this.readout = section.querySelector(".readout");
      this.content = section.querySelector("select");
      this.seconds = this.data.frames.length * this.data.frameSeconds;
      this.chosen = null;
      this.content.addEventListener("change", () => { this.picture = null; this.draw(); });
      for (const canvas of [this.wave, this.map]) {
        canvas.addEventListener("click", (event) => this.click(event, canvas));
      }
      for (const name of ["timeupdate", "seeked", "pause", "ended"]) {
        this.audio?.addEventListener(name, () => this.draw());
      }
      this.audio?.addEventListener("play", () => { clips.forEach((c) => c !== this && c.audio?.pause()); this.tick(); });
      addEventListener("resize", () => this.draw());
      this.words = this.data.words.map(([word, start, end]) => this.addWord(section.querySelector(".words"), word, start, end));
      this.draw();
    }

    // A button over the part of the time axis in which the word is spoken; it plays the word.
    addWord(lane, word, start, end) {
      const button = document.createElement("button");
      button.textContent = word;
      button.title = `${word}, ${start.toFixed(2)} to ${end.toFixed(2)} s`;
      button.style.left = `${100 * start / this.seconds}%`;
      button.style.width = `${100 * (end - start) / this.seconds}%`;
      button.addEventListener("click", () => {
        this.choose(Math.min(this.data.frames.length - 1, Math.floor(start / this.data.frameSeconds)), this.chosen?.[1] ?? 0);
        if (!this.audio) return;
        this.until = end;
        this.audio.currentTime = start;
        this.audio.play();
      });
      lane.appendChild(button);
      return { button, start, end };
    }

    tick() {
      if (this.until && this.audio.currentTime >= this.until) {
        this.until = null;
        this.audio.pause();
      }
      this.draw();
      if (!this.audio.paused) requestAnimationFrame(() => this.tick());
    }

    click(event, canvas) {
      const box = canvas.getBoundingClientRect();
      const frames = this.data.frames;
      const frame = Math.min(frames.length - 1, Math.floor((event.clientX - box.left) / box.width * frames.length));
      const row = Math.floor((event.clientY - box.top) / box.height * frames[0].length);
      this.choose(frame, canvas === this.map ? row : this.chosen?.[1] ?? 0);
      this.until = null;
      if (this.audio) this.audio.currentTime = frame * this.data.frameSeconds;
    }

    choose(frame, codebook) {
      this.chosen = [frame, Math.max(0, Math.min(this.data.frames[0].length - 1, codebook))];
      this.show();
      this.draw();
    }

    says(codebook, id) {
      const label = this.data.labels[codebook]?.[id];
      return label ? `${id} ${label}` : `${id}`;
    }

    show() {
      const [t, k] = this.chosen, id = this.data.frames[t][k];
      const element = (name, text, parent) => {
        const made = document.createElement(name);
        if (text !== undefined) made.textContent = text;
        parent.appendChild(made);
        return made;
      };
      this.readout.replaceChildren();
      const at = (t * this.data.frameSeconds).toFixed(2);
      element("p", `${at} s · frame ${t} · codebook ${k} · token ${this.says(k, id)}`, this.readout);
      const values = Object.entries(this.data.statistics).map(([name, v]) => `${name} ${v[t]?.[k] ?? "∞"}`);
      if (values.length) element("p", values.join(" · "), this.readout).className = "weak";
      const draw = this.data.draws?.[t]?.[k];
      if (!draw) return;
      const table = element("table", undefined, element("div", undefined, this.readout));
      const head = element("tr", undefined, table);
      ["token", "model", "", "after sampling", ""].forEach((title) => element("th", title, head));
      for (const [candidate, p, q] of draw) {
        const row = element("tr", undefined, table);
        if (candidate === id) row.className = "taken";
        element("td", this.says(k, candidate), row);
        for (const [value, kind] of [[p, "bar model"], [q, "bar"]]) {
          element("td", `${(100 * value).toFixed(1)} %`, row);
          const bar = element("span", undefined, element("td", undefined, row));
          bar.className = kind;
          bar.style.width = `${Math.round(80 * value)}px`;
        }
      }
    }

    draw() {
      const frames = this.data.frames.length, books = this.data.frames[0].length;
      const position = this.audio ? this.audio.currentTime / this.seconds : 0;
      const now = position * this.seconds;
      for (const { button, start, end } of this.words ?? []) button.classList.toggle("spoken", now > 0 && start <= now && now < end);
      const cursor = (g, canvas) => {
        if (!this.audio) return;
        const [line, rim] = palette().playhead, x = position * canvas.width;
        g.fillStyle = rim;
        g.fillRect(x - 2, 0, 4, canvas.height);
        g.fillStyle = line;
        g.fillRect(x - 1, 0, 2, canvas.height);
      };
      let g = fit(this.wave);
      const { width, height } = this.wave;
      g.clearRect(0, 0, width, height);
      const peaks = this.data.peaks, half = peaks.length ? 0.5 : 0;
      const loudest = peaks.reduce((most, [low, high]) => Math.max(most, -low, high), 0.05);
      g.fillStyle = getComputedStyle(this.wave).color;
      for (let x = 0; x < width; x++) {
        const from = Math.floor(x / width * peaks.length), to = Math.max(from + 1, Math.floor((x + 1) / width * peaks.length));
        const part = peaks.slice(from, to);
        const low = Math.min(0, ...part.map((p) => p[0])), high = Math.max(0, ...part.map((p) => p[1]));
        const middle = height * half / 2;
        g.fillRect(x, middle - high / loudest * middle, 1, (high - low) / loudest * middle + 0.5);
      }
      const book = this.chosen?.[1] ?? 0;
      const top = height * half, room = height - top - 4;
      const lines = this.data.curves.map(([name, colour]) => [this.data.statistics[name] ?? [], palette()[colour]]);
      const most = Math.max(1, ...lines.flatMap(([v]) => v.map((f) => f[book] ?? 0)));
      const line = (values, scale, colour) => {
        g.strokeStyle = colour;
        g.lineWidth = 1.5 * (devicePixelRatio || 1);
        g.beginPath();
        values.forEach((v, t) => g.lineTo((t + 0.5) / frames * width, top + room * (1 - Math.min(1, (v ?? scale) / scale)) + 2));
        g.stroke();
      };
      lines.forEach(([v, colour]) => line(v.map((f) => f[book]), most, colour));
      if (this.data.end) line(this.data.end, 1, palette().end);
      cursor(g, this.wave);

      g = fit(this.map);
      g.clearRect(0, 0, this.map.width, this.map.height);
      g.imageSmoothingEnabled = false;
      this.picture ??= this.paint(frames, books);
      g.drawImage(this.picture, 0, 0, this.map.width, this.map.height);
      if (this.chosen) {
        const [t, k] = this.chosen, w = this.map.width / frames, h = this.map.height / books;
        g.strokeStyle = palette().chosen;
        g.lineWidth = 2 * (devicePixelRatio || 1);
        g.strokeRect(t * w, k * h, w, h);
      }
      cursor(g, this.map);
    }

    paint(frames, books) {
      const picture = document.createElement("canvas");
      picture.width = frames;
      picture.height = books;
      const g = picture.getContext("2d"), image = g.createImageData(frames, books);
      const { ramp, swatches } = palette();
      const values = this.data.statistics[this.content.value];
      const most = values ? Math.max(1e-9, ...values.flat().filter((v) => v !== null)) : 1;
      for (let k = 0; k < books; k++) {
        for (let t = 0; t < frames; t++) {
          const share = values ? (values[t]?.[k] ?? most) / most : 0;
          const colour = values ? ramp[Math.round(share * (ramp.length - 1))] : swatches[this.data.swatches[t][k]];
          image.data.set([...colour, 255], 4 * (k * frames + t));
        }
      }
      g.putImageData(image, 0, 0);
      return picture;
    }
  }

  document.querySelectorAll("section.clip").forEach((section, n) => clips.push(new Clip(section, n)));
  if (!clips.length) return;
  darkness.addEventListener("change", () => clips.forEach((c) => { c.picture = null; c.draw(); }));

  // Keys: Space plays, arrows step through frames and codebooks, digits switch to another clip at the same moment.
  let current = clips[0];
  clips.forEach((clip) => {
    clip.audio?.addEventListener("play", () => { current = clip; });
    for (const canvas of [clip.wave, clip.map]) canvas.addEventListener("click", () => { current = clip; });
  });
  addEventListener("keydown", (event) => {
    if (event.target.matches("select, input, audio") || event.ctrlKey || event.metaKey || event.altKey) return;
    const other = clips[Number(event.key) - 1];
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " " && current.audio) {
      if (current.audio.paused) current.audio.play(); else current.audio.pause();
    } else if (steps) {
      const [t, k] = current.chosen ?? [0, 0];
      current.choose(Math.max(0, Math.min(current.data.frames.length - 1, t + steps[0])), k + steps[1]);
      if (current.audio && steps[0]) current.audio.currentTime = current.chosen[0] * current.data.frameSeconds;
    } else if (other?.audio && current.audio) {
      const playing = !current.audio.paused;
      other.audio.currentTime = Math.min(current.audio.currentTime, other.seconds);
      current.audio.pause();
      if (playing) other.audio.play();
      current = other;
      other.draw();
    } else {
      return;
    }
    event.preventDefault();
  });
})();
