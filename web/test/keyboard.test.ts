import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bindings, isFree, pressed, startKeyboard } from "../src/state/keyboard.ts";
import { singleKeys } from "../src/state/preferences.ts";
import { keyText } from "../src/views/shortcuts.tsx";

const press = (key: string, more: KeyboardEventInit = {}): KeyboardEvent =>
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });

describe("the name of a key press", () => {
  it.each([
    [press("j"), "j"],
    [press("J", { shiftKey: true }), "Shift+j"],
    [press("K", { ctrlKey: true }), "Ctrl+k"],
    [press("z", { metaKey: true, shiftKey: true }), "Ctrl+Shift+z"],
    [press("?", { shiftKey: true }), "?"],
    [press(" ", { altKey: true }), "Alt+Space"],
    [press("ArrowLeft", { shiftKey: true }), "Shift+ArrowLeft"],
  ])("is the same on every keyboard", (event, name) => expect(pressed(event)).toBe(name));

  it("is written as on the keys", () => {
    expect(["Ctrl+Shift+z", "ArrowLeft", "+", "Space"].map(keyText)).toEqual([
      "Ctrl Shift Z",
      "←",
      "+",
      "Space",
    ]);
  });
});

describe("shortcuts", () => {
  const pressedKeys: string[] = [];
  const act = (name: string) => (): void => void pressedKeys.push(name);

  beforeEach(() => {
    pressedKeys.length = 0;
    document.body.innerHTML =
      '<input id="text"><input id="box" type="checkbox"><button id="button"></button><a id="link" href="#x"></a>';
    bindings.value = ["j", "Space", "Enter", "Ctrl+k", "Ctrl+z"].map((name) => ({
      keys: [name],
      group: "page",
      text: name,
      act: act(name),
    }));
  });
  afterEach(() => {
    bindings.value = [];
    singleKeys.value = true;
    document.body.innerHTML = "";
  });
  startKeyboard();

  const on = (id: string, event: KeyboardEvent): string[] => {
    (document.getElementById(id) ?? document.body).dispatchEvent(event);
    return pressedKeys.splice(0);
  };

  it("leave a field alone, but for the palette", () => {
    expect(on("text", press("j"))).toEqual([]);
    expect(on("text", press("z", { ctrlKey: true }))).toEqual([]);
    expect(on("text", press("k", { ctrlKey: true }))).toEqual(["Ctrl+k"]);
    expect(on("box", press("j"))).toEqual(["j"]);
  });

  it("leave buttons and links the keys that press them", () => {
    expect(on("button", press(" "))).toEqual([]);
    expect(on("link", press("Enter"))).toEqual([]);
    expect(on("link", press(" "))).toEqual(["Space"]);
    expect(on("button", press("j"))).toEqual(["j"]);
  });

  it("of a single key can be turned off, and rest while a dialog is open", () => {
    singleKeys.value = false;
    expect(on("", press("j"))).toEqual([]);
    expect(on("", press("z", { ctrlKey: true }))).toEqual(["Ctrl+z"]);
    singleKeys.value = true;
    document.body.append(Object.assign(document.createElement("dialog"), { open: true }));
    expect(on("", press("j"))).toEqual([]);
  });

  it("do nothing while letters are being composed", () => {
    expect(isFree(press("j", { isComposing: true }), "j")).toBe(false);
  });
});
