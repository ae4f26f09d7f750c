/** A direct-line deal of a whole day under a sealed receipt, on a ledger with its producer: which transactions it takes. */
import { createProducer } from '../../agent/validator/producer.ts'
import { drainMicrotasks } from '../../drivers/drain.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { awaited } from '../../hw/sim/run-seed.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { dealKey, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { parseTx } from '../../protocol/ledger/tx.ts'
import { wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { contractHash } from '../../protocol/trade/contract.ts'
import { assembleSealed, sealedEvidence, sealedToSign } from '../../protocol/trade/sealed.ts'
import { BEGIN, buyer, commitOf, genesis, seller, signTx, terms, verifier } from '../protocol/ledger/parties.ts'
import { signerOf } from './grid-ledgers.ts'

export const SEALED_DEAL_MS = 86_400_000
const SLOT_MS = 900_000
const BLOCK_MS = 60_000

const hash = (n: number) => sha256(Uint8Array.of(n))

export interface SealedDeal {
  /** In blocks, and how many of them there are. */
  readonly kinds: readonly string[]
  readonly transactions: number
  /** Quarter hours of the contract. */
  readonly slots: number
}

export async function sealedDeal(): Promise<SealedDeal> {
  const time = createSimTime(BEGIN, drainMicrotasks)
  const { clock, timers } = time
  const signers = [signerOf('sealed validator')]
  const producer = createProducer({ genesis, signers, clock, timers, verifier, intervalMs: BLOCK_MS })
  const kinds: string[] = []
  producer.subscribe(({ txs, results }) => {
    for (const [at, tx] of txs.entries()) if (results[at]!.code === 0) kinds.push(must(parseTx(tx)).tx.kind)
  })
  const block = async () => must(await awaited(time, producer.produce()))
  await block()
  const start = instant(BEGIN + SLOT_MS)
  const contract = { ...terms, start, end: instant(start + SEALED_DEAL_MS), energy: wattHours(24_000n) }
  const commit = commitOf({ ...contract, receipts: 'sealed' })
  const deal = contractHash(commit.body.contract)
  producer.submit(signTx(buyer, 0n, commit))
  await block()
  await time.advance(contract.end - clock.now() + 1_000)
  await block()
  const receipt = {
    ...{ deal, energy: wattHours(23_500n) },
    evidence: sealedEvidence([hash(1), hash(2), hash(3), hash(4)]),
  }
  const half = (party: typeof seller) =>
    assembleSealed(receipt, party.publicKey, party.sign(sealedToSign(receipt, party.publicKey)))
  const body = { ...receipt, sellerSign1: half(seller), buyerSign1: half(buyer) }
  producer.submit(signTx(seller, 0n, { kind: 'sealed', body }))
  await block()
  const { value } = producer.query(utf8(dealKey(deal)), producer.status().height)!
  const { state, outcome } = must(decodeDealRecord(value!))
  const problems = producer.audit().problems
  if (state !== 'settled' || outcome?.delivered !== receipt.energy || problems.length > 0)
    throw new Error(`the sealed deal is ${state}, ${problems.length} problems`)
  return { kinds, transactions: kinds.length, slots: (contract.end - contract.start) / SLOT_MS }
}
