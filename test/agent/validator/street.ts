/** A producer on simulated time, with real keys, for the tests of everything that stands on it. */
import { createProducer, type Producer, type ProducerOptions } from '../../../agent/validator/producer.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime, type SimTime } from '../../../hw/sim/clock.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { micros } from '../../../protocol/quantity.ts'
import { BEGIN, buyer, genesis, seller, signTx, verifier } from '../../protocol/ledger/parties.ts'

export const signers = [0, 1, 2, 3].map(i => createSigner(sha256(utf8(`validator ${i}`))))

export function makeProducer(change: Partial<ProducerOptions> = {}): { producer: Producer; time: SimTime } {
  const time = createSimTime(BEGIN, drainPromises)
  const { clock, timers } = time
  return { producer: createProducer({ genesis, signers, clock, timers, verifier, ...change }), time }
}

/** The seller pays the buyer a micro-unit. */
export const payment = (sequence: bigint): Uint8Array =>
  signTx(seller, sequence, { kind: 'transfer', body: { to: buyer.address, amount: micros(1n) } })
