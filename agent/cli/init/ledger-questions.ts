/** The questions about a ledger: which, from which header on it is believed, and who is asked about it. */
import * as literals from '../../config/literals.ts'
import type { DraftLedger } from './draft.ts'
import { because, parsed, type Walk } from './question.ts'

const USUAL_NODE = 'http://127.0.0.1:26657'

/** `what` is what it is called, as in "this ledger"; `node` stands ready where none is typed. */
export function* askLedgerOf(prefix: string, what: string, chains: string, node = USUAL_NODE): Walk<DraftLedger> {
  const chain = yield parsed(
    `${prefix}chain`,
    `${what}? Its chain id, as in ${chains}`,
    text => (/^[A-Za-z0-9_.-]{1,50}$/.test(text) ? text : undefined),
    'a chain id of at most 50 letters, digits, . - _',
  )
  const height = yield parsed(
    `${prefix}height`,
    'A header of it that you trust, from somebody other than the node: its height? As in 1',
    literals.parseHeight,
    'a height from 1',
  )
  const hash = yield parsed(
    `${prefix}hash`,
    'And its hash? 64 hexadecimal digits',
    literals.parseHex32,
    'a header hash: 64 hexadecimal digits',
  )
  const primary = yield parsed(
    `${prefix}primary`,
    'Which node is asked?',
    literals.parseLedgerSource,
    'an address such as http://127.0.0.1:26657, or a relay such as mqtt:relay-1',
    node,
  )
  const witnesses = yield because(
    'At least one, for example http://192.168.1.20:26657: with none nothing is believed, and no contact closes. For a trial on one machine `tieline-ledger dev --witness 26667` is one: http://127.0.0.1:26667',
    parsed(
      `${prefix}witnesses`,
      'Which others are asked to confirm it (witnesses), with commas between?',
      text => (listOf(text).every(one => literals.parseLedgerSource(one) !== undefined) ? text : undefined),
      'addresses such as http://node:26657, or relays such as mqtt:relay-1',
      '',
    ),
  )
  return { settings: { chain, primary }, trust: { height, hash }, witnesses: listOf(witnesses) }
}

/** Words with commas or blanks between them. */
export const listOf = (text: string): readonly string[] => text.split(/[\s,]+/).filter(part => part !== '')
