/** Keeps an error of one part from taking the page with it. */
import { Component, type ComponentChildren } from "preact";
import { t } from "../strings.ts";
import styles from "./notice.module.css";

interface Props {
  children: ComponentChildren;
}

export class Boundary extends Component<Props, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static override getDerivedStateFromError(error: unknown): { error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ComponentChildren {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <div class={styles.notice} role="alert">
        <h2>{t.errors.title}</h2>
        <pre class={styles.detail}>{error.message}</pre>
        <button type="button" onClick={() => this.setState({ error: null })}>
          {t.errors.retry}
        </button>
      </div>
    );
  }
}
