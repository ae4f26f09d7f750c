import type { Fault } from '../../protocol/result.ts'

/** Exit codes: BSD sysexits.h where it has one for the case, so that systemd and scripts can tell them apart. */
export const EXIT = {
  ok: 0,
  /** Ran, and the answer is no: a broken rule, a failed check. */
  no: 1,
  usage: 2,
  /** EX_UNAVAILABLE: a port, a broker or a device that is needed is taken or not there. */
  unavailable: 69,
  /** EX_IOERR. */
  io: 74,
  /** EX_TEMPFAIL: the same command may work later. */
  temporary: 75,
  /** EX_NOPERM. */
  permission: 77,
  /** EX_CONFIG. */
  configuration: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The code for what kept a program from starting; the room of a fault tells its kind. */
export function exitOf({ code, errno }: Fault): ExitCode {
  if (errno === 'EACCES' || /permission|denied/.test(code) || /^keys\.(exposed|pin-)/.test(code)) return EXIT.permission
  if (/^keys\.(no-token|token-)/.test(code)) return EXIT.unavailable
  if (code === 'keys.given-up') return EXIT.no
  if (code === 'keys.disk') return EXIT.io
  if (/^(keys?|gpio|profile|page)\./.test(code)) return EXIT.configuration
  // The data folder is another device's.
  if (code === 'journal.foreign') return EXIT.configuration
  if (code === 'disk.held') return EXIT.unavailable
  if (/^(serial\.busy|modbus\.second-master|tpm\.busy)$/.test(code)) return EXIT.temporary
  if (/^tpm\.(address|auth|handle|handle-taken|key-attributes|no-handle|other-key|other-kind)$/.test(code))
    return EXIT.configuration
  if (/^(meter\.(vanished|garbled)|(modbus|mbus)\.(garbled|early|crc))$/.test(code)) return EXIT.io
  if (/^(usage\.|meter\.(no-page|needs-id))/.test(code)) return EXIT.usage
  if (/^(disk|journal|file|folder|log|pieces|ledger|blocks|headers)\./.test(code)) return EXIT.io
  return EXIT.unavailable
}
