/** Light, dark or what the system says; stored in this browser. */
import { computed, effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
const KEY = "buoy.theme";

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    // Storage can be forbidden; then the choice lasts as long as the page.
    return "auto";
  }
}

export const theme = signal<Theme>(stored());

const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);
system.addEventListener("change", () => {
  systemDark.value = system.matches;
});

const wanted = computed(() => (theme.value !== "auto" ? theme.value : systemDark.value ? "dark" : "light"));

/** The theme whose tokens the page resolves by now: charts repaint when it changes. */
export const shownTheme = signal(wanted.peek());

effect(() => {
  const root = document.documentElement;
  if (theme.value === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
  try {
    if (theme.value === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme.value);
  } catch {
    // As above.
  }
  shownTheme.value = wanted.value;
});
