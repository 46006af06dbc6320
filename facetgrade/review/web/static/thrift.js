// Spares the viewer work that pictures of slices do not need.
//
// NiiVue builds about fifty programs for each canvas, with those of meshes and of volume
// rendering, and the gradient of each volume for its lighting. Slices need a few of the
// programs and no gradient; without a graphics card the rest took seconds.

/** Open a canvas for drawing; NiiVue, which asks for the same context, gets this one. */
export function openThrifty(canvas) {
  const gl = canvas.getContext("webgl2", { alpha: true, antialias: false });
  if (!gl) throw new Error("This browser cannot show images: it has no WebGL 2.");
  return new LazyPrograms(gl);
}

/** Compiles and links each program of a context when it first draws. */
class LazyPrograms {
  #gl;
  #real;
  #waiting = new Map();
  #silent = new Set();
  #current = null;

  constructor(gl) {
    this.#gl = gl;
    this.#real = Object.getPrototypeOf(gl);
    this.#deferPrograms();
    this.#deferUniforms();
    this.#linkBeforeDrawing();
    // Each question waits until everything before it is drawn.
    gl.checkFramebufferStatus = () => gl.FRAMEBUFFER_COMPLETE;
  }

  /** Draw nothing with these shaders of the viewer. */
  silence(...shaders) {
    for (const { program } of shaders) this.#silent.add(program);
  }

  #call(name, ...values) {
    return this.#real[name].call(this.#gl, ...values);
  }

  #deferPrograms() {
    const gl = this.#gl;
    gl.compileShader = () => {};
    gl.linkProgram = (program) => this.#waiting.set(program, []);
    gl.useProgram = (program) => {
      this.#current = program;
      if (!this.#waiting.has(program)) this.#call("useProgram", program);
    };
    gl.getProgramParameter = (program, name) => {
      if (name === gl.LINK_STATUS && this.#waiting.has(program)) return true;
      return this.#call("getProgramParameter", program, name);
    };
  }

  /** Hand out places of uniforms that are looked up once their program is linked. */
  #deferUniforms() {
    const gl = this.#gl;
    gl.getUniformLocation = (program, name) => ({ program, name });
    for (const name of Object.keys(Object.getOwnPropertyDescriptors(this.#real))) {
      if (!/^uniform(Matrix)?\d/.test(name)) continue;
      gl[name] = (place, ...values) => {
        const set = () => this.#call(name, this.#locate(place), ...values);
        const later = this.#waiting.get(place?.program);
        if (later) later.push(set);
        else set();
      };
    }
  }

  #locate(place) {
    if (!place) return null;
    place.found ??= this.#call("getUniformLocation", place.program, place.name);
    return place.found;
  }

  #linkBeforeDrawing() {
    for (const name of ["drawArrays", "drawElements"]) {
      this.#gl[name] = (...values) => {
        if (this.#silent.has(this.#current)) return;
        this.#link(this.#current);
        this.#call(name, ...values);
      };
    }
  }

  #link(program) {
    const uniforms = this.#waiting.get(program);
    if (!uniforms) return;
    this.#waiting.delete(program);
    const gl = this.#gl;
    for (const shader of gl.getAttachedShaders(program)) this.#call("compileShader", shader);
    this.#call("linkProgram", program);
    if (!this.#call("getProgramParameter", program, gl.LINK_STATUS)) {
      throw new Error(`This browser cannot show images: ${gl.getProgramInfoLog(program)}`);
    }
    this.#call("useProgram", program);
    for (const set of uniforms) set();
  }
}
