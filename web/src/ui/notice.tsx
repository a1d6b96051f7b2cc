/** Large quiet texts in the place of content: nothing yet, no match, could not load. */
import type { ComponentChildren, JSX } from "preact";
import type { ApiError } from "../data/api.ts";
import { t } from "../strings.ts";
import styles from "./notice.module.css";

interface NoticeProps {
  title: string;
  /** True where the notice stands for the whole page, whose heading it is then. */
  whole?: boolean;
  children?: ComponentChildren;
}

export function Notice({ title, whole = false, children }: NoticeProps): JSX.Element {
  const Heading = whole ? "h1" : "h2";
  return (
    <div class={styles.notice}>
      <Heading>{title}</Heading>
      {children}
    </div>
  );
}

interface FailureProps {
  error: ApiError;
  /** What a 404 means on this page. */
  missing: string;
  whole?: boolean;
  retry: () => void;
}

/** Why a page could not load. */
export function Failure({ error, missing, whole = false, retry }: FailureProps): JSX.Element {
  if (error.status === 401)
    return (
      <Notice title={t.errors.load} whole={whole}>
        {t.errors.unauthorized}
      </Notice>
    );
  if (error.status === 404) {
    return (
      <Notice title={missing} whole={whole}>
        <a href="./">{t.errors.toProjects}</a>
      </Notice>
    );
  }
  return (
    <Notice title={t.errors.load} whole={whole}>
      <p>{error.status === 0 ? t.errors.offline : `${error.message} (${error.code})`}</p>
      <button type="button" onClick={retry}>
        {t.errors.retry}
      </button>
    </Notice>
  );
}
