/** Where an element that scrolls is, and how large: measured at most once a frame. */
import { useLayoutEffect, useState } from "preact/hooks";

export interface ScrollBox {
  readonly top: number;
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

const NOWHERE: ScrollBox = { top: 0, left: 0, width: 0, height: 0 };

export function useScrollBox(host: { current: HTMLElement | null }): ScrollBox {
  const [box, setBox] = useState(NOWHERE);
  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    let frame = 0;
    const now = (): void => {
      frame = 0;
      const { scrollTop, scrollLeft, clientWidth, clientHeight } = element;
      setBox({ top: scrollTop, left: scrollLeft, width: clientWidth, height: clientHeight });
    };
    const later = (): void => {
      if (frame === 0) frame = requestAnimationFrame(now);
    };
    now();
    const resize = new ResizeObserver(later);
    resize.observe(element);
    element.addEventListener("scroll", later, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      resize.disconnect();
      element.removeEventListener("scroll", later);
    };
  }, []);
  return box;
}
