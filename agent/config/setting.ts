/** A setting that is in force, as it is explained and shown. Types only, which the page reads, too. */

export interface Setting {
  /** Keys, and indexes of lists. */
  readonly path: readonly (string | number)[]
  readonly value: string
  readonly from: 'file' | 'default'
  /** From 1; of what stands in the file. */
  readonly line?: number
  readonly about?: string
}
