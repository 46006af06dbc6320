// Lesions of facetgrade: shown, painted, measured and graded again on the server.
import { getBytes, getJson, post, randomKey } from "./api.js";
import { LESIONS } from "./viewer.js";

const byId = (name) => document.getElementById(name);
const SIZES = [1, 2, 3, 5, 7, 9, 13];
const HEADER_BYTES = 352;

export class Painter {
  constructor(page) {
    this.page = page;
    this.isOn = true;
    this.isEditing = false;
    this.isErasing = false;
    this.lesion = 0;
    this.sizeIndex = 2;
  }

  /** Fetch what the reader may see of the result of facetgrade. */
  async load() {
    const joint = this.page.joint();
    try {
      const result = await getJson(`${joint.url}/ai`);
      this.#showResult(result);
      for (const slot of joint.slots) {
        if (!result[slot]?.has_masks) continue;
        const bytes = await getBytes(`${joint.url}/${slot}/lesions.nii`);
        if (this.page.joint() !== joint) return;
        this.page.view().setLabels(slot, new Uint8Array(bytes, HEADER_BYTES).slice());
      }
      this.page.view().showOverlays(this.isOn);
    } catch (error) {
      this.page.say(error.message, true);
    }
  }

  #showResult(result) {
    byId("ai").hidden = false;
    byId("ai-list").replaceChildren(
      ...Object.entries(result).map(([slot, one]) => resultBox(slot, one)),
    );
  }

  toggle() {
    this.isOn = !this.isOn;
    this.page.view().showOverlays(this.isOn);
    byId("overlay-button").setAttribute("aria-pressed", String(this.isOn));
  }

  edit() {
    const slot = this.page.slot();
    if (!this.page.view().labels[slot]) {
      this.page.say("There are no outlines to edit here.", true);
      return;
    }
    this.isEditing = !this.isEditing;
    this.#apply();
  }

  leave() {
    this.isEditing = false;
    byId("ai").hidden = true;
    this.#apply();
  }

  slotChanged() {
    if (this.isEditing) this.#apply();
  }

  nextLesion() {
    this.lesion = (this.lesion + 1) % LESIONS.length;
    this.isErasing = false;
    this.#apply();
  }

  toggleEraser() {
    this.isErasing = !this.isErasing;
    this.#apply();
  }

  size(step) {
    this.sizeIndex = Math.min(Math.max(this.sizeIndex + step, 0), SIZES.length - 1);
    this.#apply();
  }

  undo() {
    if (this.page.view().undoPaint(this.page.slot())) this.recompute();
  }

  #apply() {
    const view = this.page.view();
    byId("editing").hidden = !this.isEditing;
    byId("edit-button").setAttribute("aria-pressed", String(this.isEditing));
    if (!view?.joint) return;
    const code = this.isErasing ? 0 : LESIONS[this.lesion].code;
    const slot = this.isEditing ? this.page.slot() : null;
    view.paintOn(slot, code, SIZES[this.sizeIndex], () => this.recompute());
    const tool = this.isErasing ? "eraser" : LESIONS[this.lesion].name.toLowerCase();
    byId("tool").textContent = `${tool}, ${SIZES[this.sizeIndex]} voxels wide, on ${this.page.slot()}`;
  }

  /** Measure and grade the painted lesions of the active time point. */
  async recompute() {
    const [slot, joint] = [this.page.slot(), this.page.joint()];
    const labels = this.page.view().labels[slot];
    if (!labels || !this.isEditing) return;
    const result = await post(
      `${joint.url}/${slot}/measure`, await squeezed(labels), "application/octet-stream",
    );
    const box = byId("ai-list").querySelector(`[data-slot="${slot}"]`);
    box?.replaceWith(resultBox(slot, { ...result, has_masks: true, is_edited: true }));
    this.page.measured(slot, result.extents);
  }

  async save() {
    const [slot, joint] = [this.page.slot(), this.page.joint()];
    const labels = this.page.view().labels[slot];
    if (!labels) return;
    await post(
      `${joint.url}/${slot}/lesions?key=${randomKey()}`,
      await squeezed(labels),
      "application/octet-stream",
    );
    this.page.say(`The outlines of ${slot} are kept.`);
  }
}

async function squeezed(labels) {
  const stream = new Blob([labels]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

function resultBox(slot, result) {
  const box = document.createElement("section");
  box.dataset.slot = slot;
  const grade = result.grade === null ? "ungradable" : `grade ${result.grade}`;
  const title = document.createElement("h3");
  title.textContent = `${slot}: ${grade}${result.is_edited ? " after editing" : ""}`;
  const table = document.createElement("table");
  for (const [name, value] of result.measurements ?? []) {
    const row = table.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    row.insertCell().textContent = value;
  }
  const trace = document.createElement("ul");
  for (const sentence of result.trace ?? []) {
    const line = document.createElement("li");
    line.textContent = sentence.replaceAll("mm3", "mm³");
    trace.append(line);
  }
  box.append(title, table, trace);
  return box;
}
