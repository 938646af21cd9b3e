// Pictures of what a text says, by every model of a data set that draws by words.

import { ask, to } from "./api.js";
import { make } from "./answers.js";
import { printed } from "./generators.js";

const [section, form, field, told, chips, examples, seed, number, count, list] =
  ["#say", "#say-form", "#prompt", "#prompt-told", "#words", "#prompts", "#say-seed", "#say-number", "#say-count", "#said"].map(one => document.querySelector(one));
let prints = [], known = [], longest = 0;

// As the server takes a prompt apart (data/captions.py).
const words = text => text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];

export async function shows(models) {
  section.hidden = !models.length;
  prints = printed(models, list, draw);
  if (!models.length) return;
  const [model] = models;
  [known, longest] = [model.words, model.longest_caption];
  chips.replaceChildren(...known.map(chip));
  field.value = model.prompt;
  again();
  const found = await Promise.all([...Array(model.examples).keys()].map(place => ask(to(model, `/examples/${place}`))));
  examples.replaceChildren(...found.map(example));
}

function chip(word, place) {
  const button = make("button", { type: "button", tabindex: place ? -1 : 0 }, word);
  button.addEventListener("click", () => {
    const partial = unfinished();
    const before = partial ? field.value.slice(0, -partial.length) : field.value;
    field.value = `${before.trimEnd()} ${word} `.trimStart();
    again();
  });
  return button;
}

function example({ image, prompt }) {
  const button = make("button", { type: "button" }, make("img", { src: image, alt: "" }), prompt);
  button.addEventListener("click", () => { field.value = prompt; again(); });
  return make("li", {}, button);
}

// The last word, where it is none that is known: it is being typed.
function unfinished() {
  const [last] = field.value.match(/\S+$/u) ?? [""];
  return known.includes(last.toLowerCase()) ? "" : last;
}

// Why the prompt cannot be drawn, or nothing.
function refusal(typed) {
  const unknown = typed.find(word => !known.includes(word));
  if (unknown) return `They do not know “${unknown}”. The words below are theirs.`;
  return typed.length > longest ? `They read at most ${longest} words, and these are ${typed.length}.` : "";
}

function again() {
  const partial = unfinished().toLowerCase();
  for (const button of chips.children) button.classList.toggle("fits", partial !== "" && button.textContent.startsWith(partial));
  const reason = refusal(words(field.value));
  told.textContent = reason;
  field.setAttribute("aria-invalid", Boolean(reason));
  if (!reason) prints.forEach(print => print.draw());
}

async function draw(print) {
  const prompt = words(field.value).join(" ");
  try {
    const { images } = await ask(to(print.model, `/generate?${new URLSearchParams({ prompt, seed: number.value, count: count.value })}`));
    print.show(images, `${prompt || "Nothing in particular"}, ${images.length} times, by ${print.model.name} from seed ${number.value}`);
  } catch (error) {
    print.fail(error.message);
  }
}

field.addEventListener("input", again);
form.addEventListener("submit", event => { event.preventDefault(); again(); });
seed.addEventListener("input", () => { number.value = seed.value; again(); });
number.addEventListener("input", () => { if (number.value !== "" && number.checkValidity()) { seed.value = number.value; again(); } });
count.addEventListener("change", again);

// The words are one stop of the tab key; arrow keys go from one to the next.
chips.addEventListener("keydown", event => {
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  const buttons = [...chips.children], place = buttons.indexOf(document.activeElement);
  if (!step || place < 0) return;
  event.preventDefault();
  const next = buttons.at((place + step) % buttons.length);
  buttons.forEach(button => { button.tabIndex = button === next ? 0 : -1; });
  next.focus();
});
