/** What a decoder of telegrams makes of damaged ones: `wrong`, `hidden` and `thrown` should be 0. */
import { concat, toHex } from '../../../protocol/bytes.ts'
import type { Pull } from '../../../protocol/result.ts'
import type { Telegram } from '../../../protocol/telegram/telegram.ts'
import { Gather } from './gather.ts'
import { mutants } from './mutate.ts'

export interface Fuzzed {
  readonly mutants: number
  /** Mutants of which an undamaged telegram came out: cut or doubled around it. */
  readonly intact: number
  /** Mutants of which a telegram came out that was sent by nobody, so all its checks happened to hold. */
  readonly passed: number
  /** Those that also gave a value, or a meter, that none of the telegrams had. */
  readonly wrong: number
  /** Mutants that kept a decoder from the good telegram behind them. */
  readonly hidden: number
  readonly thrown: number
  /** The first mutant of the worst kind seen, in hex. */
  readonly example: string | undefined
}

export interface FuzzTask {
  /** Undamaged, each at least once accepted by `decode`. */
  readonly telegrams: readonly Uint8Array[]
  readonly decode: (bytes: Uint8Array) => Pull<Telegram>
  readonly count: number
  readonly seed: number
  /** Good telegrams behind each mutant, of which the last must be found. One, where a decoder resynchronises at once. */
  readonly behind?: number
  /** Applied to each mutant: what a defence switched off amounts to, as a checksum made good again. */
  readonly mend?: (mutant: Uint8Array) => Uint8Array
}

export function fuzz({ telegrams, decode, count, seed, behind = 1, mend = bytes => bytes }: FuzzTask): Fuzzed {
  const known = new Set(telegrams.map(toText))
  const said = new Set(telegrams.flatMap(bytes => saidBy(whole(decode, bytes))))
  const good = telegrams[0]!
  const tail = concat(...Array<Uint8Array>(behind).fill(good))
  const tally = { intact: 0, passed: 0, wrong: 0, hidden: 0, thrown: 0 }
  const examples: Partial<Record<keyof typeof tally, string>> = {}
  const note = (kind: keyof typeof tally, mutant: Uint8Array): void => {
    tally[kind]++
    examples[kind] ??= toHex(mutant)
  }
  for (const damaged of mutants(telegrams, count, seed)) {
    const mutant = mend(damaged)
    try {
      const { frames } = new Gather(decode).push(concat(mutant, tail))
      const foreign = frames.filter(({ raw }) => !known.has(toText(raw)))
      if (frames.length === 0 || toText(frames.at(-1)!.raw) !== toText(good)) note('hidden', mutant)
      if (foreign.some(({ value }) => saidBy(value).some(one => !said.has(one)))) note('wrong', mutant)
      if (foreign.length > 0) note('passed', mutant)
      else if (frames.length > behind) note('intact', mutant)
    } catch {
      // A decoder of untrusted bytes cannot throw: that it did is the finding.
      note('thrown', mutant)
    }
  }
  const example = examples.thrown ?? examples.wrong ?? examples.hidden ?? examples.passed
  return { mutants: count, ...tally, example }
}

/** The counts as a line of output, with the mutant that was taken wrongly where there was one. */
export const fuzzLine = (what: string, { example, ...counts }: Fuzzed): string =>
  `${what}: ${Object.entries(counts)
    .map(([name, n]) => `${n.toLocaleString('en')} ${name}`)
    .join(', ')}${counts.wrong + counts.hidden + counts.thrown > 0 ? `, as by ${example}` : ''}\n`

function whole(decode: FuzzTask['decode'], bytes: Uint8Array): Telegram {
  const pull = decode(bytes)
  if (pull.kind !== 'frame' || pull.used !== bytes.length) throw new Error(`an undamaged telegram is ${pull.kind}`)
  return pull.value
}

/** Everything that may not be wrong, each as one text. */
const saidBy = ({ meterId, values }: Telegram): readonly string[] => [
  `meter ${meterId}`,
  ...values.map(({ obis, value, scaler, unit }) => `${obis} ${value} ${scaler} ${unit}`),
]

const toText = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
