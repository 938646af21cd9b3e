// The drawing board: white on black by pen, mouse, finger or keys; or a picture that was opened, dropped or pasted.

const SIDE = 320;       // pixels of the longer side at least, so that lines are smooth
const STEPS = 24;       // key presses from one side of the board to the other

export class Board {
  // `changed` is called with the picture as a Blob whenever there is another one, and with null when it was cleared.
  constructor(changed) {
    this.changed = changed;
    this.frame = document.querySelector("#drop");
    this.canvas = document.querySelector("#board");
    this.marks = document.querySelector("#marks");
    this.pen = document.querySelector("#pen");
    this.fit = document.querySelector("#fit");
    this.ink = this.canvas.getContext("2d", { willReadFrequently: true });
    this.at = null;      // where the keyboard's pen is
    this.down = false;
    this.opened = null;  // the file that is shown, sent as it is until something is drawn on it
    this.#pointer();
    this.#keys();
    this.#files();
    document.querySelector("#clear").addEventListener("click", () => this.clear());
    this.fit.addEventListener("change", () => this.#tell());
  }

  // Take the shape of what the models read.
  shape({ width, height }, fits) {
    const scale = Math.ceil(SIDE / Math.max(width, height));
    for (const canvas of [this.canvas, this.marks]) {
      canvas.width = width * scale;
      canvas.height = height * scale;
    }
    document.querySelector("#fit-label").hidden = !fits;
    this.fits = fits;
    this.clear();
  }

  clear() {
    this.ink.fillStyle = "#000000";
    this.ink.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.opened = null;
    this.frame.classList.add("empty");
    this.changed(null);
  }

  async open(blob) {
    let picture;
    try {
      picture = await createImageBitmap(blob);
    } catch {
      this.opened = blob;  // the server says what is wrong with it
      this.changed(blob);
      return;
    }
    this.ink.fillStyle = "#000000";
    this.ink.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.ink.imageSmoothingEnabled = picture.width > this.canvas.width;
    this.ink.drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
    picture.close();
    this.opened = blob;
    this.frame.classList.remove("empty");
    this.changed(blob);
  }

  #line(from, to) {
    this.opened = null;
    this.frame.classList.remove("empty");
    const { ink } = this;
    ink.strokeStyle = "#ffffff";
    ink.lineCap = ink.lineJoin = "round";
    ink.lineWidth = this.pen.value / 100 * Math.min(this.canvas.width, this.canvas.height);
    ink.beginPath();
    ink.moveTo(...from);
    ink.lineTo(...to);
    ink.stroke();
    this.#tell();
  }

  #tell() {
    if (this.frame.classList.contains("empty") || this.opened) return;
    const sent = this.fits && this.fit.checked ? this.#fitted() : this.canvas;
    sent.toBlob(blob => this.changed(blob), "image/png");
  }

  // The drawing moved and scaled until it reaches the frame, as images of single digits are in most data sets.
  #fitted() {
    const { width, height } = this.canvas;
    const pixels = this.ink.getImageData(0, 0, width, height).data;
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (pixels[4 * (y * width + x)] < 64) continue;
        left = Math.min(left, x); right = Math.max(right, x + 1);
        top = Math.min(top, y); bottom = Math.max(bottom, y + 1);
      }
    }
    if (right <= left) return this.canvas;
    const scale = Math.min(width / (right - left), height / (bottom - top));
    const [w, h] = [(right - left) * scale, (bottom - top) * scale];
    const sent = Object.assign(document.createElement("canvas"), { width, height });
    const ink = sent.getContext("2d");
    ink.fillRect(0, 0, width, height);  // black
    ink.drawImage(this.canvas, left, top, right - left, bottom - top, (width - w) / 2, (height - h) / 2, w, h);
    return sent;
  }

  #pointer() {
    let last = null;
    const place = event => {
      const box = this.canvas.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * this.canvas.width;
      return [x, (event.clientY - box.top) / box.height * this.canvas.height];
    };
    this.canvas.addEventListener("pointerdown", event => {
      if (event.button) return;
      this.canvas.setPointerCapture(event.pointerId);
      last = place(event);
      this.#line(last, last);
    });
    this.canvas.addEventListener("pointermove", event => {
      if (!last) return;
      for (const part of event.getCoalescedEvents?.() ?? [event]) {
        const next = place(part);
        this.#line(last, next);
        last = next;
      }
    });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { last = null; });
  }

  #keys() {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    this.canvas.addEventListener("keydown", event => {
      const { width, height } = this.canvas;
      const here = this.at ?? [width / 2, height / 2];
      if (event.key in moves) {
        const step = Math.min(width, height) / STEPS;
        const [x, y] = moves[event.key];
        this.at = [Math.min(width, Math.max(0, here[0] + x * step)), Math.min(height, Math.max(0, here[1] + y * step))];
        if (this.down) this.#line(here, this.at);
      } else if (event.key === " ") {
        this.at = here;
        this.down = !this.down;
        if (this.down) this.#line(here, here);
      } else if (event.key === "Delete" || event.key === "Backspace") {
        this.clear();
      } else {
        return;
      }
      event.preventDefault();
      this.#mark();
    });
    this.canvas.addEventListener("blur", () => { this.at = null; this.down = false; this.#mark(); });
  }

  // A ring where the keyboard's pen is, filled while it is down.
  #mark() {
    const marks = this.marks.getContext("2d");
    marks.clearRect(0, 0, this.marks.width, this.marks.height);
    if (!this.at) return;
    marks.beginPath();
    marks.arc(...this.at, Math.min(this.marks.width, this.marks.height) / 40, 0, 2 * Math.PI);
    marks.lineWidth = 2;
    marks.strokeStyle = marks.fillStyle = "#84c5ec";
    if (this.down) marks.fill(); else marks.stroke();
  }

  #files() {
    const file = document.querySelector("#file");
    file.addEventListener("change", () => { if (file.files[0]) this.open(file.files[0]); file.value = ""; });
    for (const kind of ["dragover", "dragleave", "drop"]) {
      this.frame.addEventListener(kind, event => {
        event.preventDefault();
        this.frame.classList.toggle("over", kind === "dragover");
        if (kind === "drop" && event.dataTransfer.files[0]) this.open(event.dataTransfer.files[0]);
      });
    }
    document.addEventListener("paste", event => {
      const pasted = [...event.clipboardData.files].find(one => one.type.startsWith("image/"));
      if (pasted) this.open(pasted);
    });
  }
}
