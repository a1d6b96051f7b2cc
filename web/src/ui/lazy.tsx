/** A part of a page that is fetched when it is first shown. */
import { signal } from "@preact/signals";
import { h, type JSX } from "preact";

type Part<P> = (props: P) => JSX.Element | null;

/** Nothing is shown until it is there; a failure is the boundary's around it, whose retry asks again. */
export function lazy<P>(load: () => Promise<Part<P>>): Part<P> {
  // In an object, because a signal would have to be told that a function is a value.
  const part = signal<{ readonly show: Part<P> } | null>(null);
  const failure = signal<Error | null>(null);
  let asked = false;
  const ask = (): void => {
    asked = true;
    load().then(
      (show) => {
        part.value = { show };
      },
      (error: unknown) => {
        asked = false;
        failure.value = error instanceof Error ? error : new Error(String(error));
      },
    );
  };
  return (props) => {
    const why = failure.value;
    if (why !== null) {
      failure.value = null;
      throw why;
    }
    if (!asked) ask();
    // As an element, so that the part keeps its own hooks.
    return part.value === null
      ? null
      : h(part.value.show as (props: unknown) => JSX.Element, props as object);
  };
}
