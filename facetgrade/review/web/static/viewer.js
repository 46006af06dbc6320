// One joint on screen: two planes of each time point, kept on the same point.
import { openThrifty } from "./thrift.js";
import {
  DRAG_MODE,
  Niivue,
  NVImage,
  PEN_TYPE,
  SLICE_TYPE,
  cmapper,
} from "./vendor/niivue.js";

export const PRESETS = [
  { name: "standard", low: 1, high: 190 },
  { name: "fluid", low: 60, high: 255 },
  { name: "marrow and muscle", low: 1, high: 90 },
  { name: "full range", low: 0, high: 255 },
];
export const LESIONS = [
  { code: 1, name: "Effusion", color: [86, 180, 233] },
  { code: 2, name: "Soft-tissue edema", color: [230, 159, 0] },
  { code: 3, name: "Marrow edema", color: [204, 121, 167] },
  { code: 4, name: "Cyst", color: [240, 228, 66] },
];
const PLANES = {
  axial: { type: SLICE_TYPE.AXIAL, axis: 2 },
  sagittal: { type: SLICE_TYPE.SAGITTAL, axis: 0 },
  coronal: { type: SLICE_TYPE.CORONAL, axis: 1 },
};
const CROSSHAIR = [0.34, 0.71, 0.91, 1];
const CROSSHAIR_WIDTH = 0.3;
const STEP_VOXELS = 2;
const STROKES_KEPT = 20;
const OUTLINE = { fill: 0.12, rim: 0.95 };

const drawColors = {
  R: [0, ...LESIONS.map((one) => one.color[0])],
  G: [0, ...LESIONS.map((one) => one.color[1])],
  B: [0, ...LESIONS.map((one) => one.color[2])],
  labels: ["", ...LESIONS.map((one) => one.name)],
};

/** Name what a row shows. */
export function rowLabel(view, plane) {
  return view.plane === plane ? view.label : `${view.label}, shown ${plane}`;
}

/** One picture: a plane of a time point, drawn by its own viewer. */
class Viewport {
  constructor(element, onMove) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.caption = element.querySelector(".caption");
    this.missing = element.querySelector(".missing");
    this.plane = "axial";
    this.nv = new Niivue({
      backColor: [0, 0, 0, 1],
      clipPlaneHotKey: "",
      crosshairColor: CROSSHAIR,
      crosshairGap: 14,
      crosshairWidth: CROSSHAIR_WIDTH,
      crosshairWidthUnit: "voxels",
      cycleClipPlaneHotKey: "",
      dragAndDropEnabled: false,
      dragMode: DRAG_MODE.windowing,
      fontMinPx: 11,
      fontSizeScaling: 0.35,
      isAntiAlias: false,
      isRadiologicalConvention: true,
      loadingText: "",
      logLevel: "silent",
      measureLineColor: [0.94, 0.89, 0.26, 1],
      measureTextColor: [0.94, 0.89, 0.26, 1],
      sagittalNoseLeft: true,
      showAllOrientationMarkers: true,
      viewModeHotKey: "",
    });
    this.nv.drawLut = cmapper.makeDrawLut(drawColors);
    this.nv.drawOpacity = OUTLINE.fill;
    this.nv.drawRimOpacity = OUTLINE.rim;
    this.nv.onLocationChange = () => onMove(this);
    this.nv.meshShaders = [];
  }

  async attach() {
    const programs = openThrifty(this.canvas);
    await this.nv.attachToCanvas(this.canvas, false);
    const { blurShader, gradientPrePassShader } = this.nv;
    const { sobelFirstOrderShader, sobelSecondOrderShader } = this.nv;
    programs.silence(blurShader, gradientPrePassShader);
    programs.silence(sobelFirstOrderShader, sobelSecondOrderShader);
    this.nv.setInterpolation(false);
  }

  async show(buffer, view, plane, slot) {
    this.plane = plane;
    this.missing.hidden = Boolean(buffer);
    this.canvas.setAttribute("aria-label", `${plane} plane of ${slot}, ${view.label}`);
    this.caption.textContent = `${slot} · ${rowLabel(view, plane)}`;
    this.element.classList.toggle("reformatted", view.plane !== plane);
    while (this.nv.volumes.length) this.nv.removeVolumeByIndex(0);
    if (!buffer) {
      this.nv.drawScene();
      return;
    }
    const volume = await NVImage.loadFromUrl({
      url: "joint.nii",
      name: "joint.nii",
      buffer,
      colormap: "gray",
      trustCalMinMax: true,
      cal_min: PRESETS[0].low,
      cal_max: PRESETS[0].high,
    });
    this.nv.opts.sliceType = PLANES[plane].type;
    this.nv.addVolume(volume);
  }

  get volume() {
    return this.nv.volumes[0];
  }

  window(low, high) {
    if (!this.volume) return;
    if (this.volume.cal_min === low && this.volume.cal_max === high) return;
    this.volume.cal_min = low;
    this.volume.cal_max = high;
    this.nv.updateGLVolume();
  }

  draw(labels) {
    if (!this.volume) return;
    if (!this.nv.drawBitmap) this.nv.createEmptyDrawing();
    this.nv.drawBitmap = labels;
    this.nv.refreshDrawing(true);
  }

  follow(position, panZoom) {
    if (!this.volume) return;
    this.nv.scene.crosshairPos = [...position];
    this.nv.scene.pan2Dxyzmm = [...panZoom];
    this.nv.drawScene();
  }
}

/** All pictures of one joint. Two of them exist: one is read, one is prepared. */
export class JointView {
  constructor(element, onChange) {
    this.element = element;
    this.onChange = onChange;
    this.viewports = [...element.querySelectorAll(".viewport")].map(
      (one) => new Viewport(one, (moved) => this.#moved(moved)),
    );
    this.position = [0.5, 0.5, 0.5];
    this.panZoom = [0, 0, 0, 1];
    this.preset = 0;
    this.overlays = true;
    this.hasCrosshair = true;
    this.labels = {};
    this.strokes = [];
    this.shown = Array(4).fill("");
    this.rows = [];
  }

  async attach() {
    for (const one of this.viewports) await one.attach();
  }

  /** Show a joint: `joint` is what the server says of it, `fetchImage` gets images. */
  async load(joint, fetchImage) {
    this.joint = joint;
    this.position = [0.5, 0.5, 0.5];
    this.panZoom = [0, 0, 0, 1];
    this.labels = {};
    this.strokes = [];
    this.rows = joint.rows.map((row) => ({ ...row }));
    this.fetchImage = fetchImage;
    this.element.classList.toggle("single", joint.slots.length === 1);
    this.clearMeasure();
    await this.refresh();
  }

  /** Load what the rows name, as far as it is not shown yet. */
  async refresh() {
    const work = [];
    for (const [index, viewport] of this.viewports.entries()) {
      const slot = this.joint.slots[index % 2];
      const row = this.rows[Math.floor(index / 2)];
      if (!slot || !row) continue;
      const view = this.joint.views[row.view];
      const url = this.joint.images[slot][row.view];
      const key = `${url}|${row.plane}`;
      if (this.shown[index] === key) continue;
      this.shown[index] = key;
      work.push(this.#fill(viewport, url, view, row.plane, this.joint.slot_names[slot]));
    }
    await Promise.all(work);
    for (const one of this.viewports) one.window(...this.windowLevels);
    this.#drawLabels();
    this.#spread();
  }

  async #fill(viewport, url, view, plane, name) {
    const buffer = url ? await this.fetchImage(url) : null;
    await viewport.show(buffer, view, plane, name);
  }

  get windowLevels() {
    const preset = PRESETS[this.preset];
    return [preset.low, preset.high];
  }

  choosePreset(index) {
    this.preset = (index + PRESETS.length) % PRESETS.length;
    for (const one of this.viewports) one.window(...this.windowLevels);
  }

  /** Go up or down through the slices of a row. */
  step(row, count) {
    const { axis } = PLANES[this.rows[row].plane];
    this.#move(axis, count * STEP_VOXELS);
  }

  /** Move the crosshair within the plane of a row; right and down are positive. */
  nudge(row, right, down) {
    const { plane } = this.rows[row];
    const inPlane = { axial: [0, 1], sagittal: [1, 2], coronal: [0, 2] }[plane];
    // The patient's right is on the viewer's left, the nose points left.
    this.#move(inPlane[0], -right);
    this.#move(inPlane[1], -down);
  }

  #move(axis, voxels) {
    const volume = this.viewports.find((one) => one.volume)?.volume;
    if (!volume || !voxels) return;
    const count = volume.dims[axis + 1];
    const edge = 0.5 / count;
    const moved = this.position[axis] + voxels / count;
    this.position[axis] = Math.min(Math.max(moved, edge), 1 - edge);
    this.#spread();
  }

  zoom(factor) {
    this.panZoom[3] = Math.min(Math.max(this.panZoom[3] * factor, 0.5), 8);
    this.#spread();
  }

  reset() {
    this.position = [0.5, 0.5, 0.5];
    this.panZoom = [0, 0, 0, 1];
    this.choosePreset(0);
    this.clearMeasure();
    this.#spread();
  }

  #moved(viewport) {
    this.position = [...viewport.nv.scene.crosshairPos];
    this.panZoom = [...viewport.nv.scene.pan2Dxyzmm];
    this.#spread(viewport);
  }

  #spread(except) {
    for (const one of this.viewports) {
      if (one !== except) one.follow(this.position, this.panZoom);
    }
    this.onChange?.(this);
  }

  showCrosshair(isOn) {
    if (this.hasCrosshair === isOn) return;
    this.hasCrosshair = isOn;
    for (const one of this.viewports) one.nv.setCrosshairWidth(isOn ? CROSSHAIR_WIDTH : 0);
  }

  /** Where the crosshair is, in mm from the center of the joint. */
  get pointMm() {
    const volume = this.viewports.find((one) => one.volume)?.volume;
    if (!volume) return [0, 0, 0];
    return [0, 1, 2].map((axis) => {
      const count = volume.dims[axis + 1];
      return (this.position[axis] * count - count / 2) * volume.pixDims[axis + 1];
    });
  }

  /** Slice of a row, counted in mm from the center of the joint. */
  sliceMm(row) {
    return this.pointMm[PLANES[this.rows[row].plane].axis];
  }

  measureWithMouse(isOn) {
    for (const one of this.viewports) {
      one.nv.opts.dragModePrimary = isOn ? DRAG_MODE.measurement : DRAG_MODE.crosshair;
    }
  }

  clearMeasure() {
    for (const one of this.viewports) {
      one.nv.document.completedMeasurements = [];
      if (one.volume) one.nv.drawScene();
    }
  }

  setLabels(slot, labels) {
    this.labels[slot] = labels;
    this.#drawLabels();
  }

  showOverlays(isOn) {
    this.overlays = isOn;
    this.#drawLabels();
  }

  #drawLabels() {
    for (const [index, viewport] of this.viewports.entries()) {
      const labels = this.labels[this.joint?.slots[index % 2]];
      if (labels && this.overlays) {
        viewport.draw(labels);
      } else if (viewport.nv.drawBitmap) {
        viewport.nv.closeDrawing();
      }
    }
  }

  /** Let the mouse paint on one time point; null stops it. */
  paintOn(slot, code, size, onPainted) {
    for (const [index, viewport] of this.viewports.entries()) {
      const isOn = slot !== null && this.joint.slots[index % 2] === slot;
      viewport.nv.opts.penType = PEN_TYPE.PEN;
      viewport.nv.opts.penSize = size;
      viewport.nv.setDrawingEnabled(isOn);
      if (isOn) viewport.nv.setPenValue(code, false);
      viewport.canvas.onpointerdown = isOn ? () => this.#remember(slot) : null;
      viewport.nv.onMouseUp = isOn
        ? () => {
            this.labels[slot] = viewport.nv.drawBitmap;
            this.#drawLabels();
            onPainted();
          }
        : () => {};
    }
  }

  #remember(slot) {
    this.strokes.push(this.labels[slot].slice());
    if (this.strokes.length > STROKES_KEPT) this.strokes.shift();
  }

  /** Take back the last stroke on a time point. */
  undoPaint(slot) {
    const before = this.strokes.pop();
    if (before) this.setLabels(slot, before);
    return Boolean(before);
  }
}
