/** Large quiet texts in the place of content: nothing yet, no match, could not load. */
import type { ComponentChildren, JSX } from "preact";
import type { ApiError } from "../data/api.ts";
import { t } from "../strings.ts";
import styles from "./notice.module.css";

export function Notice({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class={styles.notice}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Why a page could not load; `missing` is what a 404 means on it. */
export function Failure(props: { error: ApiError; missing: string; retry: () => void }): JSX.Element {
  const { error, missing, retry } = props;
  if (error.status === 401) return <Notice title={t.errors.load}>{t.errors.unauthorized}</Notice>;
  if (error.status === 404) {
    return (
      <Notice title={missing}>
        <a href="./">{t.errors.toProjects}</a>
      </Notice>
    );
  }
  return (
    <Notice title={t.errors.load}>
      <p>{error.status === 0 ? t.errors.offline : `${error.message} (${error.code})`}</p>
      <button type="button" onClick={retry}>
        {t.errors.retry}
      </button>
    </Notice>
  );
}
