/** Blind coins: who signs them, and what a site takes of them ahead of time. */
import { DENOMINATIONS } from '../../protocol/privacy/coins.ts'
import type { Money } from '../../protocol/quantity.ts'
import * as forms from './literal-forms.ts'
import { about, flag, group, name, named, scalar, v, whole } from './schema-words.ts'

export interface PurseConfig {
  /** The peer that signs. */
  readonly mint: string
  /** Taken every week, whatever was spent: in a crowd of sites that all take the same. */
  readonly stock: readonly { readonly denomination: Money; readonly count: number }[]
}

/** As a person writes them: hundredths of a currency, of which one is 10,000 micro-units. */
const SIZES = new Map(DENOMINATIONS.map(size => [String(Number(size) / 1_000_000), size]))
const size = scalar(
  text => (SIZES.has(text) ? text : undefined),
  `a size of coins: ${[...SIZES.keys()].join(', ')}`,
  forms.words(...SIZES.keys()),
)
/** Three weeks of them are kept in one record: below 300 kB. */
const count = whole(1, 20, 'a number of coins, from 1 to 20')

export const mintForm = v.pipe(
  flag,
  v.transform(signs => (signs ? true : undefined)),
)

export const purseForm = v.pipe(
  group({
    mint: about('The peer that signs coins.', name),
    stock: about(
      'How many coins of each size are taken every week, whatever was spent.',
      v.pipe(
        named(count, size),
        v.check(stock => Object.keys(stock).length > 0, 'names no coins'),
      ),
    ),
  }),
  v.transform(({ mint, stock }): PurseConfig => {
    const coins = Object.entries(stock).map(([text, count]) => ({ denomination: SIZES.get(text)!, count }))
    return { mint, stock: coins }
  }),
)
