// The reading page: keyboard first, one joint after the other.
import { getBytes, getJson, postSurely, randomKey } from "./api.js";
import { Painter } from "./painter.js";
import { JointView, PRESETS, rowLabel } from "./viewer.js";

const byId = (name) => document.getElementById(name);
const entry = JSON.parse(byId("entry").textContent);
const GRADES = ["0", "1", "2", "3", "4"];
const timing = { page: performance.now(), joints: [] };
window.facetgradeTiming = timing;

const state = {
  joint: null,
  view: null,
  spare: null,
  findings: {},
  slot: "A",
  row: 0,
  key: "",
  openedAt: 0,
  measuring: null,
  correction: "",
  busy: false,
  lockedCount: 0,
  crosshair: true,
};
const painter = new Painter({
  view: () => state.view,
  joint: () => state.joint,
  slot: () => state.slot,
  say,
  measured: (slot, extents) => {
    state.findings[slot].extents = extents;
  },
});

// Images and page data, asked for once and kept until the joint is left.
const fetched = new Map();
function once(url, get) {
  if (!fetched.has(url)) {
    const promise = get(url);
    promise.catch(() => fetched.delete(url));
    fetched.set(url, promise);
  }
  return fetched.get(url);
}
const fetchImage = async (url) => (await once(url, getBytes)).slice(0);

function say(text, isUrgent = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("urgent", isUrgent);
}

// Opening a joint

async function open(place) {
  const startedAt = performance.now();
  state.busy = true;
  const joint = await once(place, getJson);
  const isReady = state.spare.joint?.url === place && state.spare.isLoaded;
  if (isReady) {
    [state.view, state.spare] = [state.spare, state.view];
  } else {
    await state.view.load(joint, fetchImage);
  }
  state.joint = joint;
  state.view.element.classList.add("front");
  state.spare.element.classList.remove("front");
  state.view.choosePreset(0);
  state.view.showCrosshair(state.crosshair);
  fillPanel(joint);
  window.history.replaceState(null, "", joint.page);
  await new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)));
  state.busy = false;
  document.body.dataset.ready = joint.url;
  timing.joints.push({
    url: joint.url,
    ms: performance.now() - startedAt,
    sincePageMs: performance.now() - timing.page,
    prefetched: isReady,
  });
  if (joint.ai_visible) painter.load();
  if (state.spare.isAttached) prefetch(joint.next);
}

async function prefetch(place) {
  if (!place) return;
  const view = state.spare;
  try {
    view.isLoaded = false;
    const joint = await once(place, getJson);
    await view.load(joint, fetchImage);
    view.isLoaded = true;
    document.body.dataset.prefetched = joint.url;
  } catch {
    fetched.delete(place);
  }
}

function fillPanel(joint) {
  painter.leave();
  state.findings = {};
  state.key = randomKey();
  state.openedAt = performance.now();
  state.measuring = null;
  state.correction = "";
  state.row = 0;
  const locked = Object.fromEntries((joint.read?.findings ?? []).map((f) => [f.slot, f]));
  for (const slot of joint.slots) {
    state.findings[slot] = locked[slot]
      ? { grade: locked[slot].grade, reason: locked[slot].reason, extents: {} }
      : { grade: undefined, reason: "", extents: {} };
  }
  byId("joint-name").textContent = joint.name;
  byId("joint-place").textContent = joint.place;
  document.title = `${joint.name} · ${joint.place}`;
  state.lockedCount = Math.max(state.lockedCount, joint.locked_count);
  byId("progress").max = joint.joint_count;
  byId("progress").value = state.lockedCount;
  byId("progress-text").textContent = `${state.lockedCount} of ${joint.joint_count} joints locked`;
  byId("comment").value = joint.read?.comment ?? "";
  byId("distance").textContent = "none";
  chooseSlot(joint.slots.find((slot) => state.findings[slot].grade === undefined) ?? joint.slots[0]);
  showPeers(joint.peers);
  showLock();
  showGrades();
  showRows();
  say(joint.read ? "This joint is locked." : "");
}

// Findings

function chooseSlot(slot) {
  if (!state.joint.slots.includes(slot)) return;
  state.slot = slot;
  for (const one of document.querySelectorAll(".slot")) {
    one.classList.toggle("active", one.dataset.slot === slot);
  }
  for (const one of document.querySelectorAll(".viewport")) {
    one.classList.toggle("of-active-slot", one.dataset.slot === slot);
  }
  painter.slotChanged();
}

function isOpen() {
  return !state.joint.read || state.correction;
}

function setGrade(slot, grade, reason = "") {
  if (!isOpen()) {
    say("This joint is locked. Press k to correct it with a reason.", true);
    return;
  }
  Object.assign(state.findings[slot], { grade, reason });
  showGrades();
  const other = state.joint.slots.find((one) => state.findings[one].grade === undefined);
  if (other) chooseSlot(other);
  say(other ? `${slot}: ${words(slot)}. Now ${other}.` : "Complete. Space locks it and goes on.");
}

function words(slot) {
  const { grade, reason } = state.findings[slot];
  if (grade === undefined) return "not graded";
  return grade === null ? `ungradable, ${reason.replaceAll("-", " ")}` : `grade ${grade}`;
}

function showGrades() {
  for (const box of document.querySelectorAll(".slot")) {
    const finding = state.findings[box.dataset.slot];
    box.hidden = !finding;
    if (!finding) continue;
    for (const input of box.querySelectorAll("input")) {
      const isReason = input.value === "u";
      input.checked = isReason ? finding.grade === null : finding.grade === Number(input.value);
      input.disabled = !isOpen();
      if (finding.grade === undefined) input.checked = false;
    }
    box.querySelector(".chosen").textContent = words(box.dataset.slot);
  }
  const missing = state.joint.slots.filter((one) => state.findings[one].grade === undefined);
  byId("lock").disabled = missing.length > 0 || !isOpen();
}

function showLock() {
  const { read } = state.joint;
  document.body.classList.toggle("locked", Boolean(read) && !state.correction);
  byId("lock-label").textContent = state.correction ? "Save correction" : "Lock and next";
  byId("correct").hidden = !read || Boolean(state.correction);
  byId("next").hidden = !read;
  byId("locked-at").textContent = read ? `Locked ${read.locked_at}` : "";
}

function showPeers(peers) {
  const list = byId("peers");
  list.parentElement.hidden = peers.length === 0;
  list.replaceChildren(
    ...peers.map((findings, index) => {
      const line = document.createElement("li");
      const texts = findings.map((one) =>
        `${one.slot}: ${one.grade ?? `ungradable (${one.reason})`}`,
      );
      line.textContent = `Reader ${index + 1}: ${texts.join(", ")}`;
      return line;
    }),
  );
}

async function lock() {
  if (state.busy) return;
  const { joint } = state;
  if (!isOpen()) {
    await goNext();
    return;
  }
  const missing = joint.slots.filter((one) => state.findings[one].grade === undefined);
  if (missing.length) {
    chooseSlot(missing[0]);
    say(`Grade ${missing.join(" and ")} first: 0 to 4, or u.`, true);
    return;
  }
  state.busy = true;
  say("Saving…");
  const body = JSON.stringify({
    key: state.key,
    findings: joint.slots.map((slot) => ({ slot, ...state.findings[slot] })),
    comment: byId("comment").value,
    elapsed_s: (performance.now() - state.openedAt) / 1000,
    correction_reason: state.correction,
  });
  try {
    const answer = await postSurely(`${joint.url}/read`, body);
    joint.next = answer.next;
    state.lockedCount = answer.locked_count;
  } catch (error) {
    state.busy = false;
    say(error.message, true);
    return;
  }
  fetched.delete(joint.url);
  state.busy = false;
  await goNext();
}

async function goNext() {
  const { next } = state.joint;
  if (!next) {
    window.location.assign("/");
    return;
  }
  const left = state.joint;
  await open(next);
  forget(left);
}

async function goBack() {
  if (state.joint.previous) await open(state.joint.previous);
}

function forget(joint) {
  for (const urls of Object.values(joint.images)) for (const url of urls) fetched.delete(url);
  fetched.delete(joint.url);
}

// Pictures

function showRows() {
  const { view, joint } = state;
  for (const one of view.element.querySelectorAll(".viewport")) {
    one.classList.toggle("of-active-row", Number(one.dataset.row) === state.row);
  }
  for (const [index, row] of view.rows.entries()) {
    byId(`row-${index}`).textContent = rowLabel(joint.views[row.view], row.plane);
  }
  byId("preset").textContent = PRESETS[view.preset].name;
  showPosition();
}

function showPosition() {
  if (!state.view?.rows.length) return;
  for (const one of state.view.element.querySelectorAll(".viewport")) {
    const mm = state.view.sliceMm(Number(one.dataset.row));
    one.querySelector(".slice").textContent = `${mm >= 0 ? "+" : "−"}${Math.abs(mm).toFixed(1)} mm`;
  }
}

async function nextView(step) {
  const row = state.view.rows[state.row];
  const same = state.joint.views.map((one, index) => [one.plane, index]);
  const own = same.filter(([plane]) => plane === row.plane).map(([, index]) => index);
  const all = own.length > 1 ? own : same.map(([, index]) => index);
  row.view = all[(all.indexOf(row.view) + step + all.length) % all.length];
  await state.view.refresh();
  showRows();
}

async function nextPlane() {
  const row = state.view.rows[state.row];
  const planes = ["axial", "sagittal", "coronal"];
  row.plane = planes[(planes.indexOf(row.plane) + 1) % planes.length];
  const best = state.joint.views.findIndex((one) => one.plane === row.plane);
  if (best >= 0) row.view = best;
  await state.view.refresh();
  showRows();
}

function measure() {
  const here = state.view.pointMm;
  if (!state.measuring) {
    state.measuring = here;
    state.view.measureWithMouse(true);
    byId("distance").textContent = "from here: move with Shift and arrows, then m";
    return;
  }
  const mm = Math.hypot(...here.map((one, axis) => one - state.measuring[axis]));
  state.measuring = null;
  state.view.measureWithMouse(false);
  if (mm > 0) {
    state.findings[state.slot].extents.distance_mm = Number(mm.toFixed(1));
    byId("distance").textContent = `${mm.toFixed(1)} mm`;
  } else {
    byId("distance").textContent = "none";
    state.view.clearMeasure();
  }
}

// Dialogs

function ask(name) {
  const dialog = byId(name);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue), { once: true });
  });
}

async function ungradable(slot = state.slot) {
  if (!isOpen()) {
    setGrade(slot, null);
    return;
  }
  const reason = await ask("reasons");
  if (reason) setGrade(slot, null, reason);
  else showGrades();
}

async function correct() {
  if (!state.joint.read) return;
  byId("correction-reason").value = "";
  const answer = await ask("correction");
  const reason = byId("correction-reason").value.trim();
  if (answer !== "go" || !reason) return;
  state.correction = reason;
  state.key = randomKey();
  showLock();
  showGrades();
  say("Change the grade, then lock it again. The earlier read is kept.");
}

// Keys

const keys = {
  ArrowUp: () => state.view.step(state.row, 1),
  ArrowDown: () => state.view.step(state.row, -1),
  PageUp: () => state.view.step(state.row, 5),
  PageDown: () => state.view.step(state.row, -5),
  "Shift+ArrowUp": () => state.view.nudge(state.row, 0, -1),
  "Shift+ArrowDown": () => state.view.nudge(state.row, 0, 1),
  "Shift+ArrowLeft": () => state.view.nudge(state.row, -1, 0),
  "Shift+ArrowRight": () => state.view.nudge(state.row, 1, 0),
  ArrowLeft: () => chooseSlot("A"),
  ArrowRight: () => chooseSlot("B"),
  a: () => chooseSlot("A"),
  b: () => chooseSlot("B"),
  u: () => ungradable(),
  " ": () => lock(),
  Backspace: () => goBack(),
  p: () => {
    state.row = 1 - state.row;
    showRows();
  },
  v: () => nextPlane(),
  s: () => nextView(1),
  "Shift+S": () => nextView(-1),
  w: () => {
    state.view.choosePreset(state.view.preset + 1);
    showRows();
  },
  "Shift+W": () => {
    state.view.choosePreset(state.view.preset - 1);
    showRows();
  },
  m: measure,
  o: () => painter.toggle(),
  e: () => painter.edit(),
  l: () => painter.nextLesion(),
  x: () => painter.toggleEraser(),
  "[": () => painter.size(-1),
  "]": () => painter.size(1),
  z: () => painter.undo(),
  Enter: () => painter.recompute(),
  "+": () => state.view.zoom(1.2),
  "=": () => state.view.zoom(1.2),
  "-": () => state.view.zoom(1 / 1.2),
  r: () => {
    state.view.reset();
    showRows();
  },
  h: () => {
    state.crosshair = !state.crosshair;
    state.view.showCrosshair(state.crosshair);
  },
  c: () => byId("comment").focus(),
  k: correct,
  "?": () => ask("help"),
  Escape: () => painter.leave(),
};
for (const grade of GRADES) keys[grade] = () => setGrade(state.slot, Number(grade));

function keyName(event) {
  const isLong = event.key.startsWith("Arrow") || /^[A-Z]$/.test(event.key);
  return event.shiftKey && isLong ? `Shift+${event.key}` : event.key;
}

window.addEventListener(
  "keydown",
  (event) => {
    const dialog = document.querySelector("dialog[open]");
    if (dialog) {
      const choice = dialog.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (choice) {
        event.preventDefault();
        choice.click();
      }
      return;
    }
    if (event.target.matches?.("textarea, input[type=text]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey || event.key === "Tab") return;
    const isControl = event.target.matches?.("button, a, summary");
    if (isControl && (event.key === "Enter" || event.key === " ")) return;
    const action = keys[keyName(event)];
    if (!action || !state.joint) return;
    event.preventDefault();
    event.stopPropagation();
    Promise.resolve(action()).catch((error) => say(error.message, true));
  },
  { capture: true },
);

// Mouse

for (const box of document.querySelectorAll(".slot")) {
  box.addEventListener("click", () => chooseSlot(box.dataset.slot));
  for (const input of box.querySelectorAll("input")) {
    input.addEventListener("click", (event) => {
      event.preventDefault();
      input.blur();
      if (input.value === "u") ungradable(box.dataset.slot);
      else setGrade(box.dataset.slot, Number(input.value));
    });
  }
}
for (const one of document.querySelectorAll(".viewport")) {
  one.addEventListener("pointerdown", () => {
    state.row = Number(one.dataset.row);
    showRows();
  });
}
const buttons = {
  lock,
  next: goNext,
  correct,
  "help-button": () => ask("help"),
  "overlay-button": () => painter.toggle(),
  "edit-button": () => painter.edit(),
  "recompute-button": () => painter.recompute(),
  "save-mask-button": () => painter.save(),
  "undo-button": () => painter.undo(),
};
for (const [name, action] of Object.entries(buttons)) {
  byId(name).addEventListener("click", (event) => {
    event.currentTarget.blur();
    Promise.resolve(action()).catch((error) => say(error.message, true));
  });
}

// Start

async function start() {
  const [front, back] = document.querySelectorAll(".joint");
  state.view = new JointView(front, (view) => view === state.view && showPosition());
  state.spare = new JointView(back, (view) => view === state.view && showPosition());
  const firstJoint = once(entry.start, getJson);
  firstJoint.then((joint) => {
    for (const row of joint.rows) {
      for (const slot of joint.slots) {
        const url = joint.images[slot][row.view];
        if (url) once(url, getBytes);
      }
    }
  }, () => {});
  await state.view.attach();
  state.view.isAttached = true;
  await open(entry.start);
  await state.spare.attach();
  state.spare.isAttached = true;
  prefetch(state.joint.next);
}

start().catch((error) => say(error.message, true));
