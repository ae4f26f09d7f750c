/** Counted energies as the bars of a picture. */
import type { HistoryBucket } from '../answers.ts'

/** Energies of one stretch of time, in milliwatt-hours; null where one is not known. */
export interface Bar {
  readonly start: number
  readonly end: number
  readonly imported: number | null
  readonly exported: number | null
  /** Generated and used on the site. */
  readonly own: number | null
}

type Bucket = Pick<HistoryBucket, 'start' | 'end' | 'energyMwh'>
interface Counted {
  readonly buckets: readonly Bucket[]
}

/** Every quarter of an hour has fewer digits than a number holds; so has a day. */
const energyOf = (bucket: Bucket | undefined) => (bucket?.energyMwh === undefined ? null : Number(bucket.energyMwh))

export function barsOf(imported: Counted, exported: Counted, made?: Counted): readonly Bar[] {
  const byStart = (answer?: Counted) => new Map(answer?.buckets.map(bucket => [bucket.start, bucket]))
  const [given, generated] = [byStart(exported), byStart(made)]
  return imported.buckets.map(bucket => {
    const { start, end } = bucket
    const [out, gain] = [energyOf(given.get(start)), energyOf(generated.get(start))]
    // Less generated than given: another source, or meters that were read at other moments.
    const own = out === null || gain === null || gain < out ? null : gain - out
    return { start, end, imported: energyOf(bucket), exported: out, own }
  })
}
