"use strict";
// One cursor over all pictures, moved by sound, pointer and keys. Everything is on the page.

const byId = (id) => document.getElementById(id);
const { duration, step } = Object.fromEntries(
  Object.entries(document.documentElement.dataset).map(([key, value]) => [key, Number(value)]));
const scroll = byId("scroll"), wide = byId("wide"), seek = byId("seek"), now = byId("now");
const play = byId("play"), plots = [...document.querySelectorAll(".plot")];
let time = 0, zoom = 1, numbers = null;

// What an element holds, as a file; what has a name was compressed.
function held(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const type = element.dataset.type, blob = new Blob([bytes], { type });
  if (!element.dataset.file) return blob;
  const stream = blob.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream, { headers: { "Content-Type": type } }).blob();
}

// Cursor and what is said of it

function show(at, follow = true) {
  time = Math.min(Math.max(at, 0), duration);
  wide.style.setProperty("--at", time / duration);
  seek.value = time;
  const words = wordsAt(Math.round(time / step));
  now.textContent = words;
  seek.setAttribute("aria-valuetext", words);
  if (follow && zoom > 1) {
    const place = plots[0].clientWidth * time / duration - scroll.scrollLeft;
    if (place < 0 || place > scroll.clientWidth - 80) scroll.scrollLeft += place - 40;
  }
}

function go(to, follow = true) {
  show(to, follow);
  if (playing) sound();
}

const noteNames = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const strips = document.querySelectorAll("#harmonics .labels span span");

function wordsAt(frame) {
  const start = `${time.toFixed(2)} s`;
  if (!numbers) return start;
  frame = Math.min(frame, numbers.f0_hz.length - 1);
  strips.forEach((strip, h) => {
    const amplitude = numbers.amplitudes?.[frame][h];
    strip.textContent = amplitude ? Math.round(20 * Math.log10(amplitude)).toString().replace("-", "−") : "";
  });
  const f0 = numbers.f0_hz[frame], error = numbers.f0_std_cents?.[frame];
  if (!numbers.voiced[frame]) return `${start} · no pitch, best guess ${f0.toFixed(1)} Hz`;
  const pitch = 69 + 12 * Math.log2(f0 / 440), nearest = Math.round(pitch);
  const cents = Math.round(100 * (pitch - nearest));
  const note = noteNames[nearest % 12] + (Math.floor(nearest / 12) - 1);
  return `${start} · ${f0.toFixed(2)} Hz` + (error == null ? "" : ` ± ${Number(error.toPrecision(2))} cents`)
    + ` · ${note} ${cents < 0 ? "−" : "+"}${Math.abs(cents)}`;
}

// Sound, decoded as a whole: media elements seek in MP3 to a tenth of a second at best, and change
// from one to another with a gap

const decoded = new Map();
let context = null, source = null, kind = "recording", playing = false, turn = 0, origin = 0, next = 0;

async function sound() {
  source?.stop();
  source = null;
  play.setAttribute("aria-label", playing ? "Pause" : "Play");
  const mine = ++turn;
  if (!playing) return;
  context ??= new AudioContext();
  if (!decoded.has(kind)) {
    const file = await held(byId(`sound-${kind}`)).arrayBuffer();
    decoded.set(kind, await context.decodeAudioData(file));
  }
  await context.resume();
  if (mine !== turn) return; // something else is wanted by now
  source = new AudioBufferSourceNode(context, { buffer: decoded.get(kind) });
  source.connect(context.destination);
  source.start(0, time);
  origin = context.currentTime - time;
}

function follow() {
  if (!playing) return;
  if (source) {
    const heard = context.currentTime - origin - (context.outputLatency || 0);
    show(Math.max(heard, time));
    if (time === duration) setPlaying(false);
  }
  next = requestAnimationFrame(follow);
}

function setPlaying(to) {
  playing = to;
  if (playing && time >= duration - 0.01) show(0);
  sound().catch((error) => {
    setPlaying(false);
    now.textContent = `This browser cannot play it: ${error.message}`;
  });
  cancelAnimationFrame(next);
  follow();
}

if (play) {
  if (navigator.audioSession) navigator.audioSession.type = "playback"; // in spite of a mute switch
  play.addEventListener("click", () => setPlaying(!playing));
  for (const choice of document.querySelectorAll("[name=sound]")) {
    choice.checked = choice.value === kind;
    choice.addEventListener("change", () => { kind = choice.value; sound(); });
  }
}

// Pointer, keys, zoom

for (const plot of plots) {
  const point = (event) => {
    const box = plot.getBoundingClientRect();
    go(duration * (event.clientX - box.left) / box.width, false);
  };
  plot.addEventListener("click", point);
  plot.addEventListener("pointermove", (event) => { if (event.buttons & 1) point(event); });
}

for (const button of document.querySelectorAll(".go")) {
  button.addEventListener("click", () => go(Number(button.value)));
}

seek.max = duration;
seek.step = Math.max(step, duration / 1000);
seek.addEventListener("input", () => go(seek.valueAsNumber));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const space = event.key === " ", on = event.target;
  if (on.matches("input") && !(space && on === seek)) return;
  if (space && on.matches("button, a")) return;
  const leap = Math.max(step, duration / 100);
  const to = { ArrowLeft: time - leap, ArrowRight: time + leap, Home: 0, End: duration }[event.key];
  if (space && play) setPlaying(!playing);
  else if (to === undefined) return;
  else go(to);
  event.preventDefault();
});

function drawTimes(width = plots[0].clientWidth) {
  const least = 70 * duration / width;
  const power = 10 ** Math.floor(Math.log10(least));
  const apart = [1, 2, 5, 10].map((times) => times * power).find((value) => value >= least);
  const digits = Math.max(0, -Math.floor(Math.log10(apart) + 1e-9));
  const labels = [];
  for (let i = 0; i * apart < duration; i++) {
    const label = document.createElement("span");
    label.style.left = `${100 * i * apart / duration}%`;
    label.textContent = (i * apart).toFixed(digits) + (i ? "" : " s");
    labels.push(label);
  }
  for (const times of document.querySelectorAll(".times")) {
    times.replaceChildren(...labels.map((label) => label.cloneNode(true)));
  }
}

const zoomButtons = [...document.querySelectorAll("#zoom button")];

function setZoom(to) {
  zoom = Math.min(Math.max(to, 1), 32);
  wide.style.setProperty("--zoom", zoom);
  wide.classList.toggle("zoomed", zoom > 1);
  zoomButtons[0].disabled = zoom === 1;
  zoomButtons[1].disabled = zoom === 32;
  drawTimes();
  scroll.scrollLeft = plots[0].clientWidth * time / duration - scroll.clientWidth / 2;
}

for (const button of zoomButtons) {
  button.addEventListener("click", () => setZoom(zoom * Number(button.value)));
}
addEventListener("resize", () => drawTimes());
addEventListener("beforeprint", () => { setZoom(1); drawTimes(600); });
addEventListener("afterprint", () => drawTimes());
setZoom(1);
show(0);

// Numbers

for (const link of document.querySelectorAll("a[data-of]")) {
  const element = byId(link.dataset.of);
  Promise.resolve(held(element)).then((file) => {
    link.href = URL.createObjectURL(file);
    link.download = element.dataset.file;
    if (element.id === "json") return file.text().then((text) => { numbers = JSON.parse(text); show(time); });
  });
}
