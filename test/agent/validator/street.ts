/** A producer on simulated time, with real keys, for the tests of everything that stands on it. */
import { createProducer, type Producer, type ProducerOptions } from '../../../agent/validator/producer.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime, type SimTime } from '../../../hw/sim/clock.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { BlockOutput, LedgerApp } from '../../../protocol/ledger/app.ts'
import type { BlockInput, ValidatorUpdate } from '../../../protocol/ledger/block.ts'
import { micros } from '../../../protocol/quantity.ts'
import { BEGIN, buyer, genesis, seller, signTx, verifier } from '../../protocol/ledger/parties.ts'

export const signersOf = (count: number) =>
  Array.from({ length: count }, (_, i) => createSigner(sha256(utf8(`validator ${i}`))))

export const signers = signersOf(4)

export function makeProducer(
  change: Partial<ProducerOptions> = {},
  validators = 4,
): { producer: Producer; time: SimTime } {
  const time = createSimTime(BEGIN, drainPromises)
  const { clock, timers } = time
  const options = { genesis, signers: signersOf(validators), clock, timers, verifier, ...change }
  return { producer: createProducer(options), time }
}

/** The seller pays the buyer a micro-unit. */
export const payment = (sequence: bigint): Uint8Array =>
  signTx(seller, sequence, { kind: 'transfer', body: { to: buyer.address, amount: micros(1n) } })

/** The same application, which gives these updates of validators with these blocks. */
export const withUpdates = (app: LedgerApp, at: (height: bigint) => readonly ValidatorUpdate[]): LedgerApp =>
  Object.create(app, {
    finalizeBlock: {
      value: (block: BlockInput): BlockOutput => ({ ...app.finalizeBlock(block), validatorUpdates: at(block.height) }),
    },
  })
