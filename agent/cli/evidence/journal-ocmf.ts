/** The OCMF records that a journal holds, parted as they belong together: a deal at one meter, or one meter's fiscal ones. */
import { fromUtf8 } from '../../../protocol/bytes.ts'
import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import type { SignedText } from '../../../protocol/ocmf/report.ts'
import type { Instant } from '../../../protocol/time.ts'

export interface GivenOut {
  readonly text: string
  /** As its page has it, as in `T12`. */
  readonly page: string
  readonly meter: string
  /** Equal for records that belong together. */
  readonly run: string
  /** Of its first reading. */
  readonly at: Instant
}

/** Undefined for what is no OCMF record of ours. */
export function readGivenOut(bytes: Uint8Array): GivenOut | undefined {
  const text = fromUtf8(bytes)
  const record = text === undefined ? undefined : parseOcmf(text).record
  const [first] = record?.readings ?? []
  if (text === undefined || record === undefined || first === undefined) return undefined
  const { MS: meter = '', TT: deal = '', PG: page } = record.payload
  return { text, page, meter, run: `${record.page.context} ${meter} ${deal}`, at: first.time.at }
}

/** Numbered by run, as the transparency software has it. */
export function asSignedTexts(records: readonly GivenOut[]): SignedText[] {
  const runs = [...new Set(records.map(({ run }) => run))]
  return records.map(({ text, run }) => ({ format: 'OCMF', text, transaction: String(runs.indexOf(run) + 1) }))
}
