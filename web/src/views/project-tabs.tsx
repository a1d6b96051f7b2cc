/** The pages of one project. */
import type { ComponentChildren, JSX } from "preact";
import { routeHref } from "../state/router.ts";
import { t } from "../strings.ts";
import styles from "./run.module.css";

const PAGES = ["workspace", "runs"] as const;

interface TabsProps {
  entity: string;
  project: string;
  open: (typeof PAGES)[number];
  /** What stands at the end of the row. */
  children?: ComponentChildren;
}

export function ProjectTabs({ entity, project, open, children }: TabsProps): JSX.Element {
  return (
    <div class={styles.tabs}>
      <nav class={styles.row} aria-label={t.workspace.tabsLabel}>
        {PAGES.map((page) => (
          <a
            key={page}
            class={styles.tab}
            href={routeHref({ page, entity, project })}
            aria-current={page === open ? "page" : undefined}
          >
            {t.workspace.tabs[page]}
          </a>
        ))}
      </nav>
      {children}
    </div>
  );
}
