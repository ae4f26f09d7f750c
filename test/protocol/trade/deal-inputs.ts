/** Any input to a deal: of this contract or of another, true or not, at any time. */
import { micros, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash, decodeContract, type Party } from '../../../protocol/trade/contract.ts'
import type { Input, Metered } from '../../../protocol/trade/deal-state.ts'
import { fc } from '../../property.ts'

/** A signed reading as a message carries it. */
export const SIGNED = { envelope: new Uint8Array(240), context: new Uint8Array(250) }

export function anyInputOf(
  bytes: Uint8Array,
  halves: Readonly<Record<Party, Uint8Array>>,
  reading: (register: bigint) => Metered,
): fc.Arbitrary<Input> {
  const contract = must(decodeContract(bytes))
  const HASH = contractHash(bytes)
  const forged = Uint8Array.from(halves.seller)
  forged[forged.length - 1]! ^= 1
  const hash = fc.constantFrom(HASH, HASH, HASH, new Uint8Array(32))
  const instants = fc.constantFrom(0, contract.start, contract.end, contract.end + 10_000_000).map(instant)
  const seen = fc.constantFrom('open' as const, 'closed' as const, 'unknown' as const)
  const anyHalf = fc.constantFrom(halves.seller, halves.buyer, forged, new Uint8Array(90))
  const fault = fc.constantFrom({ code: 'permit.window' }, { code: 'Strange Fault!', detail: 'x'.repeat(500) })
  const tx = fc.constantFrom('reserve' as const, 'commit' as const, 'receipt' as const, 'release' as const)
  const which = fc.constantFrom('begin' as const, 'end' as const)
  const amount = fc.bigInt({ min: 0n, max: 200_000n })
  const body = fc.oneof(
    fc.record({ kind: fc.constant('countersign' as const), hash, half: anyHalf }),
    fc.record({
      kind: fc.constant('accept' as const),
      id: fc.constant(contract.nonce),
      contract: fc.constant(bytes),
      half: anyHalf,
    }),
    fc.record({
      kind: fc.constant('decline' as const),
      id: fc.constantFrom(contract.nonce, new Uint8Array(16)),
      reason: fc.constant('no'),
    }),
    fc.record({ kind: fc.constantFrom('reserved' as const, 'committed' as const), hash, tx: hash }),
    fc.record({ kind: fc.constantFrom('ready' as const, 'started' as const), hash, begin: fc.constant(SIGNED) }),
    fc.record({ kind: fc.constant('stopped' as const), hash }),
    fc.record({
      kind: fc.constant('heartbeat' as const),
      hash,
      line: fc.constant('L1'),
      contact: seen,
      sequence: fc.nat(50),
      welded: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('stop' as const),
      hash,
      reason: fc.constantFrom('window' as const, 'fault' as const, 'restart' as const),
    }),
  )
  return fc.oneof(
    body.map(one => ({ kind: 'message', body: one }) as Input),
    fc.record({ kind: fc.constant('half' as const), sign1: anyHalf }),
    fc.record({ kind: fc.constant('handed-in' as const), tx, hash }),
    fc.record({ kind: fc.constant('not-handed-in' as const), tx, fault }),
    fc.record({
      kind: fc.constant('lock' as const),
      hash,
      record: fc.record({ state: fc.constantFrom('locked', 'settled', 'refunded'), escrow: amount.map(micros) }),
      height: fc.bigInt({ min: 1n, max: 99n }),
    }),
    fc.record({ kind: fc.constantFrom('lock-refused' as const, 'reservation-refused' as const), fault }),
    fc.record({
      kind: fc.constant('reservation' as const),
      hash,
      record: fc.record({
        state: fc.constantFrom('held', 'held', 'claimed', 'released'),
        chainId: fc.constantFrom(contract.chainId, contract.chainId, 'elsewhere'),
        start: instants,
        end: instants,
        energy: amount.map(wattHours),
        expires: instants,
      }),
      height: fc.constant(7n),
      proof: fc.constant(new Uint8Array(3)),
    }),
    fc.constant({ kind: 'fee-free' } as Input),
    fc.record({
      kind: fc.constant('settlement' as const),
      outcome: fc.oneof(
        fc.constant({ kind: 'absent' as const }),
        fc.constant({ kind: 'absent' as const, proven: { height: 9n, proof: new Uint8Array(3) } }),
        fc.record({
          kind: fc.constantFrom('settled' as const, 'refunded' as const),
          paid: amount.map(micros),
          disputed: fc.boolean(),
          height: fc.constant(30n),
        }),
      ),
    }),
    fc.record({
      kind: fc.constant('facts' as const),
      facts: fc.record({
        contact: seen,
        own: seen,
        line: fc.constantFrom('dead' as const, 'live' as const, 'unknown' as const),
      }),
    }),
    fc.record({ kind: fc.constant('signed-reading' as const), which, reading: amount.map(reading) }),
    fc.record({ kind: fc.constant('no-reading' as const), which, fault }),
    fc.record({
      kind: fc.constant('metered' as const),
      side: fc.constantFrom('own' as const, 'peer' as const),
      energy: fc.bigInt({ min: 0n, max: 900n }).map(wattHours),
    }),
    fc.record({ kind: fc.constant('peer-receipt' as const), receipt: fc.constant({ begin: SIGNED, end: SIGNED }) }),
    fc.record({ kind: fc.constantFrom('heartbeat-lost' as const, 'meter-stale' as const), ageMs: fc.nat(9999) }),
    fc.record({ kind: fc.constantFrom('broker-down' as const, 'stop' as const, 'restored' as const) }),
    fc.record({ kind: fc.constant('fault' as const), fault }),
    fc.record({
      kind: fc.constant('timer' as const),
      name: fc
        .constantFrom('sign', 'start', 'start-by', 'end', 'unload', 'opening', 'retry', 'receipt-by', 'settle-by')
        .map(name => name as never),
    }),
  )
}
