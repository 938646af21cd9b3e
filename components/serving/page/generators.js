// New images from a seed, by every generator of a data set.

import { ask, newest, to } from "./api.js";
import { make } from "./answers.js";

const [seed, number, count, label, labelled, list, section] =
  ["#seed", "#seed-number", "#count", "#label", "#label-label", "#drawn", "#draw"].map(one => document.querySelector(one));
let prints = [];

class Print {
  constructor(model) {
    this.model = model;
    this.item = document.querySelector("#print").content.firstElementChild.cloneNode(true);
    this.images = this.item.querySelector(".images");
    this.caption = this.item.querySelector("figcaption");
  }

  show(images, told) {
    const columns = Math.ceil(Math.sqrt(images.length));
    this.images.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    if (this.images.children.length !== images.length) this.images.replaceChildren(...images.map(() => make("img", { alt: "" })));
    images.forEach((image, place) => { this.images.children[place].src = image; });
    this.images.setAttribute("aria-label", told);
    this.caption.textContent = this.model.name;
  }

  fail(message) {
    this.images.replaceChildren();
    this.caption.textContent = `${this.model.name}: ${message}`;
  }
}

// A print for each model, put into `list`; `draw` asks for its pictures, and what it is asked last is what it shows.
export function printed(models, list, draw) {
  const prints = models.map(model => {
    const print = new Print(model);
    print.draw = newest(() => draw(print));
    return print;
  });
  list.replaceChildren(...prints.map(print => print.item));
  return prints;
}

export function shows(models) {
  section.hidden = !models.length;
  const asked = models.filter(model => model.draws_by_class);
  labelled.hidden = !asked.length;
  if (asked.length) label.replaceChildren(make("option", { value: "" }, "every one in turn"), ...asked[0].classes.map(name => make("option", { value: name }, name)));
  prints = printed(models, list, draw);
  prints.forEach(print => print.draw());
}

async function draw(print) {
  const query = new URLSearchParams({ seed: number.value, count: count.value });
  if (print.model.draws_by_class && label.value) query.set("label", label.value);
  try {
    const { images } = await ask(to(print.model, `/generate?${query}`));
    print.show(images, `${images.length} images by ${print.model.name} of seed ${query.get("seed")}`);
  } catch (error) {
    print.fail(error.message);
  }
}

const again = () => prints.forEach(print => print.draw());
seed.addEventListener("input", () => { number.value = seed.value; again(); });
number.addEventListener("input", () => { if (number.value !== "" && number.checkValidity()) { seed.value = number.value; again(); } });
for (const control of [count, label]) control.addEventListener("change", again);
