// What the models say of a picture: classes, text, boxes, masks, pictures.

const MOST_BARS = 12;
const HEIGHT = 384;  // pixels of a picture that boxes or masks are drawn on
const COLOURS = ["#84c5ec", "#ffa294", "#86dba9", "#e3cf85", "#cfa9f0", "#7fe0dc", "#f2a8cf", "#b8d97a", "#f0b37a", "#a9b8f0"];

export const percent = share => share >= 0.9995 ? "100 %" : share >= 0.0995 ? `${(100 * share).toFixed(1)} %` : `${(100 * share).toFixed(2)} %`;

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A row for one model; `show` fills it with an answer, `fail` with what was refused.
export class Row {
  constructor(model) {
    this.model = model;
    this.item = document.querySelector("#answer").content.firstElementChild.cloneNode(true);
    this.item.querySelector("h3").append(make("a", { href: `#card-${model.name}` }, model.name));
    [this.said, this.spectrum, this.note] = [".said", ".spectrum", ".note"].map(part => this.item.querySelector(part));
    if (model.words) this.#prompt();
  }

  // What a model that draws by words, too, is told beside the picture.
  #prompt() {
    this.prompt = make("input", { type: "text", value: this.model.prompt, autocomplete: "off", spellcheck: "false", "aria-label": `What ${this.model.name} shall draw by the lines` });
    this.item.append(make("div", { class: "told" }, this.prompt, make("p", { class: "muted" }, `It knows: ${this.model.words.join(", ")}.`)));
  }

  get query() {
    return this.prompt ? `?${new URLSearchParams({ prompt: this.prompt.value })}` : "";
  }

  empty() {
    this.said.textContent = "–";
    this.said.classList.remove("error");
    this.note.textContent = "";
    this.spectrum.replaceChildren();
  }

  fail(message) {
    this.empty();
    this.said.textContent = message;
    this.said.classList.add("error");
  }

  async show(answer, picture) {
    this.said.classList.remove("error");
    this.item.dataset.version = answer.version;
    this.spectrum.setAttribute("aria-hidden", Boolean(answer.scores));  // bars say what is written beside them
    if (answer.scores) this.#classes(answer);
    else if (answer.text !== undefined) { this.said.textContent = answer.text || "nothing"; this.spectrum.replaceChildren(); }
    else if (answer.objects) await this.#boxes(answer, picture);
    else if (answer.mask) await this.#mask(answer, picture);
    else this.#picture(answer);
  }

  #classes({ scores, bits_per_dim: bits }) {
    const [first] = scores;
    this.said.replaceChildren(first.label, " ", make("small", {}, percent(first.score)));
    const names = this.model.classes;
    const share = Object.fromEntries(scores.map(one => [one.label, one.score]));
    const shown = names.length <= MOST_BARS ? names : scores.slice(0, MOST_BARS / 2).map(one => one.label);
    if (this.spectrum.children.length !== shown.length) this.spectrum.replaceChildren(...shown.map(() => make("div", {}, make("i"), "")));
    shown.forEach((name, k) => {
      const bar = this.spectrum.children[k];
      bar.classList.toggle("first", name === first.label);
      bar.firstChild.style.setProperty("--share", `${100 * share[name]}%`);
      bar.lastChild.data = name;
    });
    this.note.textContent = bits === undefined ? "" : `${bits.toFixed(2)} bits per dimension: the lower, the likelier the picture is to it`;
  }

  #picture({ image }) {
    this.said.textContent = "";
    this.spectrum.replaceChildren(make("img", { src: image, alt: `made by ${this.model.name}` }));
  }

  async #boxes({ objects }, picture) {
    this.said.textContent = objects.length === 1 ? "1 object" : `${objects.length} objects`;
    this.note.textContent = objects.map(one => `${one.label} ${percent(one.score)}`).join(", ");
    const [canvas, pen, scale] = await this.#copy(picture);
    pen.font = "600 20px system-ui, sans-serif";
    for (const { label, box } of objects) {
      const colour = this.#colour(label);
      const [x, y, w, h] = [box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin].map(value => value * scale);
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = 3;
      pen.strokeRect(x, y, w, h);
      const top = Math.max(0, y - 24);
      pen.fillRect(x - 1.5, top, pen.measureText(label).width + 10, 24);
      pen.fillStyle = "#0e1113";
      pen.fillText(label, x + 3.5, top + 19);
    }
    this.spectrum.replaceChildren(canvas);
  }

  async #mask({ mask, segments }, picture) {
    this.said.textContent = "";
    const [canvas, pen] = await this.#copy(picture);
    const drawn = make("img", { src: mask });
    await drawn.decode();
    pen.globalAlpha = 0.65;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(drawn, 0, 0, canvas.width, canvas.height);
    this.spectrum.replaceChildren(canvas);
    const legend = segments.map(({ label, share, color }) => {
      const swatch = make("i");
      swatch.style.background = color;
      return make("span", {}, swatch, `${label} ${percent(share)}`);
    });
    this.note.replaceChildren(make("span", { class: "legend" }, ...legend));
  }

  // A copy of the picture to draw on, and how many of its pixels are one of the picture's.
  async #copy(picture) {
    const bitmap = await createImageBitmap(picture);
    const scale = HEIGHT / bitmap.height;
    const canvas = make("canvas", { width: Math.round(bitmap.width * scale), height: HEIGHT, role: "img" });
    canvas.setAttribute("aria-label", `what ${this.model.name} sees on the picture`);
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = scale < 1;
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return [canvas, pen, scale];
  }

  #colour(label) {
    return COLOURS[Math.max(0, this.model.classes.indexOf(label)) % COLOURS.length];
  }
}

// What most of them say, in a sentence.
export function verdict(labels) {
  if (!labels.length) return "";
  const counts = new Map();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const [label, count] = [...counts].sort((a, b) => b[1] - a[1])[0];
  if (labels.length === 1) return `It says ${label}`;
  return count === labels.length ? `All ${count} say ${label}` : `${count} of ${labels.length} say ${label}`;
}
