/** What reads the hidden states of a body: a task's output layer. */
export interface Head {
  /** What it computes, such as `language-model`. */
  readonly kind: string;
}
