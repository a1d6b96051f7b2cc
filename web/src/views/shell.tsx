/** The frame of every page: top bar with the way back, waterline, content. */
import { computed } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import * as format from "../format.ts";
import { feedStatus, lastData, now, water } from "../state/live.ts";
import { type Route, routeHref } from "../state/router.ts";
import { type Theme, theme } from "../state/theme.ts";
import { t } from "../strings.ts";
import styles from "./shell.module.css";

export interface Crumb {
  readonly text: string;
  /** Null for the page itself. */
  readonly to: Route | null;
}

const details = computed(() => {
  const age = lastData.value === null ? null : format.ago((now.value - lastData.value) / 1000);
  const said = age === null ? [] : [t.water.lastData(age)];
  return water.value === "lost" ? [...said, t.water.retrying] : said;
});

const THEMES: readonly Theme[] = ["auto", "light", "dark"];

function ThemeSwitch(): JSX.Element {
  return (
    <label class={styles.theme}>
      <span class="vh">{t.theme.label}</span>
      <select
        value={theme.value}
        onChange={(event) => {
          theme.value = event.currentTarget.value as Theme;
        }}
      >
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {t.theme[name]}
          </option>
        ))}
      </select>
    </label>
  );
}

function Brand(): JSX.Element {
  return (
    <a class={styles.brand} href="./">
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M8 0.500 10.200 4H5.800ZM6.400 5h3.200l1.600 6H4.800Z" />
        <path
          class={styles.wave}
          d="M.8 13.300c1.200-1 2.400-1 3.600 0s2.400 1 3.600 0 2.400-1 3.600 0 2.400 1 3.600 0"
        />
      </svg>
      {t.app}
    </a>
  );
}

function Waterline(): JSX.Element {
  return <div class={`${styles.water} ${styles[water.value] ?? ""}`} aria-hidden="true" />;
}

/** `wide` pages use the whole window; the others keep a readable measure. */
export function Shell(props: {
  crumbs: readonly Crumb[];
  wide?: boolean;
  children: ComponentChildren;
}): JSX.Element {
  return (
    <>
      <header class={styles.top}>
        <a class={styles.skip} href="#content">
          {t.skip}
        </a>
        <div class={styles.bar}>
          <Brand />
          <nav class={styles.crumbs} aria-label={t.app}>
            {props.crumbs.map((crumb) => (
              <span key={crumb.text} class={styles.crumb}>
                <span class={styles.slash} aria-hidden="true">
                  /
                </span>
                {crumb.to === null ? (
                  <span aria-current="page" class={styles.here} title={crumb.text}>
                    {crumb.text}
                  </span>
                ) : (
                  <a href={routeHref(crumb.to)}>{crumb.text}</a>
                )}
              </span>
            ))}
          </nav>
          <span class={styles.age} data-water={water.value} data-feed={feedStatus.value}>
            {t.water[water.value]}
            {details.value.map((text) => (
              <span key={text} class={styles.detail}>{` · ${text}`}</span>
            ))}
          </span>
          <ThemeSwitch />
        </div>
        <Waterline />
      </header>
      <main id="content" class={props.wide ? styles.wide : styles.main} tabIndex={-1}>
        {props.children}
      </main>
    </>
  );
}
