/** Bridges to plain TypeScript: gives it an element when that is in the page, and ends it when it leaves. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface MountProps {
  /** Called once with the element; what it returns is called when the element goes. */
  start: (host: HTMLElement) => () => void;
  class?: string | undefined;
}

export function Mount({ start, class: className }: MountProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const first = useRef(start);
  useLayoutEffect(() => (host.current === null ? undefined : first.current(host.current)), []);
  return <div ref={host} class={className} />;
}
