/** The named faults. Each is struck while energy flows, and judged by the wires, the ledger and what was saved. */
import type { MakeFault } from './fault-tools.ts'
import { agentKilled } from './killed-fault.ts'
import { lateModbusAnswer } from './late-fault.ts'
import { brokerDown, meterUnplugged, peerSilent, relayWelded } from './outage-faults.ts'
import type { FaultName } from './result.ts'
import { forgedHeader, noWitness, paymentNotLocked, tamperedReading, withheldReceipt } from './trust-faults.ts'

export const FAULTS: Readonly<Record<FaultName, MakeFault>> = {
  'forged-header': forgedHeader,
  'payment-not-locked': paymentNotLocked,
  'tampered-reading': tamperedReading,
  'no-witness': noWitness,
  'late-modbus-answer': lateModbusAnswer,
  'meter-unplugged': meterUnplugged,
  'peer-silent': peerSilent,
  'broker-down': brokerDown,
  'withheld-receipt': withheldReceipt,
  'relay-welded': relayWelded,
  'agent-killed': agentKilled,
}
