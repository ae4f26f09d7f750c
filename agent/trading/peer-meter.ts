/** What the other end's signed readings say of a deal, judged before anything is believed. */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { Energy, WattHours } from '../../protocol/quantity.ts'
import { verifyReading } from '../../protocol/reading/verify.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import type { Receipt, SignedReading } from '../../protocol/trade/message.ts'
import { dealEnergy, wholeBetween } from '../../protocol/trade/receipt.ts'
import type { DealRunner } from './deal-runner.ts'
import type { TradingOptions } from './trading.ts'

/** The energy since `begun`, the register of the first reading of this deal; that first reading itself says 0. */
function judgePeerReading(
  { role, contract, hash }: Deal,
  signed: SignedReading,
  meteringKey: Uint8Array,
  begun: Energy | undefined,
  verifier: Verifier,
): Result<{ readonly begun: Energy; readonly energy: WattHours }> {
  const verified = verifyReading(signed.envelope, signed.context, meteringKey, verifier)
  if (!verified.ok) return verified
  const { reading, context } = verified.value
  const expected = role === 'seller' ? contract.buyerMeter : contract.sellerMeter
  if (context.meterId !== expected) return fail({ code: 'trading.other-meter', expected, received: context.meterId })
  if (reading.session === undefined || !equalBytes(reading.session.contract, hash)) {
    return fail({ code: 'trading.other-session', deal: toHex(hash) })
  }
  const register = dealEnergy(reading, role === 'seller' ? 'buyer' : 'seller')
  if (!register.ok) return register
  const from = begun ?? register.value
  if (register.value < from) return fail({ code: 'receipt.backwards', begin: from, end: register.value })
  return ok({ begun: from, energy: wholeBetween(from, register.value) })
}

type Surroundings = Pick<TradingOptions, 'config' | 'verifier' | 'log' | 'saveEvidence'>

/** Feeds each deal what its peer's readings say since its begin, or the fault that they are. `room` is where the log has it from. */
export function createPeerMeters({ config, verifier, log, saveEvidence }: Surroundings, room: string) {
  /** What the other end's register stood at when its deal began. */
  const begins = new WeakMap<DealRunner, Energy>()
  /** The energy since its begin; what is refused is a fault of the deal. */
  function judge(runner: DealRunner, peer: string, signed: SignedReading): WattHours | undefined {
    const judged = judgePeerReading(runner.deal(), signed, config.peers[peer]!.metering, begins.get(runner), verifier)
    if (judged.ok) {
      begins.set(runner, judged.value.begun)
      return judged.value.energy
    }
    log('error', room, `${peer}'s reading is refused`, judged.fault)
    saveEvidence({ ...judged.fault, peer }, [signed.envelope, signed.context])
    runner.feed({ kind: 'fault', fault: judged.fault })
    return undefined
  }
  function metered(runner: DealRunner, energy: WattHours | undefined, ended: boolean): void {
    if (energy !== undefined) runner.feed({ kind: 'metered', side: 'peer', energy, ended })
  }
  return {
    hear: (runner: DealRunner, peer: string, signed: SignedReading): void =>
      metered(runner, judge(runner, peer, signed), false),
    /** It is kept before anything is made of it. */
    hearReceipt(runner: DealRunner, peer: string, { begin, end }: Receipt): void {
      const begun = judge(runner, peer, begin)
      const ended = judge(runner, peer, end)
      if (begun !== undefined && ended !== undefined) runner.feed({ kind: 'peer-receipt', receipt: { begin, end } })
      metered(runner, begun, false)
      metered(runner, ended, true)
    },
  }
}
