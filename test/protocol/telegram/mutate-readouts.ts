/** Mutants of a readout with a weak check, held against the rule that two readouts have to agree. */

import type { Pull } from '../../../protocol/result.ts'
import { agreedTwice } from '../../../protocol/telegram/agreement.ts'
import type { MeterValue } from '../../../protocol/telegram/obis.ts'
import type { Telegram } from '../../../protocol/telegram/telegram.ts'
import { Gather } from './gather.ts'
import { mutants } from './mutate.ts'

const MUTANTS = 100_000

export const plain = (value: MeterValue): string => `${value.obis} ${value.value}e${value.scaler} ${value.unit}`

export interface MutatedReadouts {
  /** How many passed the check, and how many of those said something else. */
  readonly passed: number
  readonly wrongAlone: number
  /** Wrong values on which a mutant agreed with a good readout, and how often two mutants in a row agreed on one. */
  readonly examples: readonly string[]
  readonly wrongTwice: number
}

export function mutateReadouts(
  readout: Uint8Array,
  decode: (bytes: Uint8Array) => Pull<Telegram>,
  seed: number,
): MutatedReadouts {
  const good = decode(readout)
  if (good.kind !== 'frame') throw new Error('not read')
  const right = new Set(good.value.values.map(plain))
  const asSaid = ({ meterId = '', values }: Telegram) => ({ meterId, values })
  const isWrong = (value: MeterValue) => !right.has(plain(value))
  const told = asSaid(good.value)
  const seen = { passed: 0, wrongAlone: 0, wrongTwice: 0, examples: [] as string[] }
  let previous = told
  for (const mutant of mutants([readout], MUTANTS, seed))
    for (const { value } of new Gather(decode).push(mutant).frames) {
      const said = asSaid(value)
      seen.passed++
      if (said.values.some(isWrong)) seen.wrongAlone++
      for (const agreed of [agreedTwice(told, said), agreedTwice(said, told)])
        seen.examples.push(...agreed.filter(isWrong).map(plain))
      if (agreedTwice(previous, said).some(isWrong)) seen.wrongTwice++
      previous = said
    }
  return seen
}
