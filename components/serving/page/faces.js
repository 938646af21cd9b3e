// Somebody's face from landmarks: a person by a picture, a pose by points that can be dragged or moved by keys.

import { make } from "./answers.js";
import { ask, blob, to } from "./api.js";
import { printed } from "./generators.js";

const SVG = "http://www.w3.org/2000/svg";
const STEP = 1;  // percent of the side that a key press moves a point
const [section, board, people, poses, list] = ["#face", "#points", "#people", "#poses", "#faces"].map(one => document.querySelector(one));
let prints = [], points = [], person = null;

export async function shows(models) {
  section.hidden = !models.length;
  prints = printed(models, list, draw);
  if (!models.length) return;
  const [model] = models;
  const found = await Promise.all([...Array(model.examples).keys()].map(place => ask(to(model, `/examples/${place}`))));
  choices(people, "Person", found, ({ image }) => image, example => { person = example.image; });
  choices(poses, "Pose", found, ({ pose }) => pose, example => { points = example.landmarks.map(point => [...point]); place(example.pose); });
  again();
}

function choices(field, name, examples, picture, take) {
  const buttons = examples.map((example, number) => {
    const button = make("button", { type: "button", "aria-label": `${name} ${number + 1}` }, make("img", { src: picture(example), alt: "" }));
    const choose = () => {
      buttons.forEach(one => one.setAttribute("aria-pressed", one === button));
      take(example);
    };
    button.addEventListener("click", () => { choose(); again(); });
    if (!number) queueMicrotask(choose);
    return button;
  });
  field.replaceChildren(...buttons.map(button => make("li", {}, button)));
}

const again = () => queueMicrotask(() => prints.forEach(print => print.draw()));

async function draw(print) {
  const query = new URLSearchParams({ landmarks: JSON.stringify(points.map(point => point.map(value => +value.toFixed(4)))) });
  try {
    const { image } = await ask(to(print.model, `/predict?${query}`), blob(person));
    print.show([image], `The person with the points, by ${print.model.name}`);
  } catch (error) {
    print.fail(error.message);
  }
}

// Draw the points over the pose that they were taken from.
function place(picture) {
  const under = document.createElementNS(SVG, "image");
  for (const [name, value] of Object.entries({ href: picture, width: 100, height: 100, preserveAspectRatio: "none" })) under.setAttribute(name, value);
  board.replaceChildren(under, ...points.map((_, number) => dot(number)));
}

function dot(number) {
  const circle = document.createElementNS(SVG, "circle");
  const move = (x, y) => {
    points[number] = [x, y].map(value => Math.min(1, Math.max(0, value)));
    circle.setAttribute("cx", 100 * points[number][0]);
    circle.setAttribute("cy", 100 * points[number][1]);
  };
  circle.setAttribute("r", 2);
  circle.setAttribute("tabindex", 0);
  circle.setAttribute("role", "button");
  circle.setAttribute("aria-label", `Point ${number + 1} of ${points.length}`);
  move(...points[number]);
  circle.addEventListener("pointerdown", event => circle.setPointerCapture(event.pointerId));
  circle.addEventListener("pointermove", event => {
    if (!circle.hasPointerCapture(event.pointerId)) return;
    const box = board.getBoundingClientRect();
    move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    again();
  });
  circle.addEventListener("keydown", event => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!x && !y) return;
    event.preventDefault();
    move(points[number][0] + STEP * x / 100, points[number][1] + STEP * y / 100);
    again();
  });
  return circle;
}
