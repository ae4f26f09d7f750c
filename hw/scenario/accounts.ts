/** The books of a district, kept by somebody who only sees blocks: what each account must hold by its deals and its transactions. */
import type { Producer } from '../../agent/validator/producer.ts'
import { toHex } from '../../protocol/bytes.ts'
import { ACCOUNTS } from '../../protocol/ledger/tables.ts'
import { parseTx } from '../../protocol/ledger/tx.ts'
import { decodeAs } from '../../protocol/record.ts'
import { ENDOWMENT } from './district-ledgers.ts'
import { dealsOf, namesOf, recordsOf, reservationsOf, type Seen } from './ledger-view.ts'

const MAX_ACCOUNT_BYTES = 256

/** Whether every site has on both ledgers what its deals, its fees and its transactions make it. */
export function accountsBalance(run: Seen): boolean {
  const names = namesOf(run)
  const books = new Map<string, bigint>()
  const book = (ledger: string, account: Uint8Array, amount: bigint) => {
    const key = `${ledger} ${toHex(account)}`
    books.set(key, (books.get(key) ?? ENDOWMENT) + amount)
  }
  for (const { deal } of dealsOf(run)) {
    book('energy', deal.buyer, -deal.escrow)
    if (deal.outcome === undefined) continue
    book('energy', deal.buyer, deal.outcome.refunded)
    book('energy', deal.seller, deal.outcome.paid)
  }
  for (const [, reservation] of reservationsOf(run)) {
    book('distribution', reservation.payer, -reservation.escrow)
    if (reservation.outcome === undefined) continue
    book('distribution', reservation.payer, reservation.outcome.refunded)
    book('distribution', reservation.distributor, reservation.outcome.paid)
  }
  for (const [ledger, producer] of ledgersOf(run))
    for (const { sender, fee } of txsOf(producer)) book(ledger, sender, -fee)
  return ledgersOf(run).every(([ledger, producer]) =>
    [
      ...recordsOf(producer, ACCOUNTS.prefix, value => decodeAs(ACCOUNTS.codec, value, 'account', MAX_ACCOUNT_BYTES)),
    ].every(([id, { balance }]) => !names.has(id) || balance === (books.get(`${ledger} ${id}`) ?? ENDOWMENT)),
  )
}

const ledgersOf = ({ ledgers }: Seen): readonly (readonly [string, Producer])[] => [
  ['energy', ledgers.energy],
  ...(ledgers.distribution === undefined ? [] : [['distribution', ledgers.distribution] as const]),
]

/** Every transaction that stands in a block and took effect. */
export function* txsOf(producer: Producer) {
  const { height, oldest } = producer.status()
  for (let at = oldest; at <= height; at++) {
    const block = producer.block(at)
    for (const [index, bytes] of (block?.txs ?? []).entries()) {
      const parsed = parseTx(bytes)
      if (parsed.ok && block!.results[index]?.code === 0) yield parsed.value.tx
    }
  }
}
