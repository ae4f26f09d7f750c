/**
 * The service manager that started this program, told by datagrams how it stands: sd_notify(3) of systemd, whose protocol is
 * documented there and stable. Nothing here waits: a word that the manager does not take at once is a fault.
 */
import { utf8 } from '../../protocol/bytes.ts'
import { ok, type Result } from '../../protocol/result.ts'
import { loadLibc } from '../native/libc.ts'

export interface ServiceManager {
  /** Variables of sd_notify(3), as in READY=1, one on a line. */
  tell(state: string): Result<void>
  /** Kills the program unless it hears WATCHDOG=1 within this; undefined where it does not watch. */
  readonly watchdogMs: number | undefined
}

/** Undefined where nobody asked to be told. */
export async function openServiceManager(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Result<ServiceManager | undefined>> {
  const socket = env['NOTIFY_SOCKET']
  if (!socket) return ok(undefined)
  const libc = await loadLibc()
  if (!libc.ok) return libc
  const { WATCHDOG_USEC: period, WATCHDOG_PID: watched = String(process.pid) } = env
  // The variables pass on to children, whom nobody watches.
  const mine = period !== undefined && /^[1-9]\d{0,15}$/.test(period) && watched === String(process.pid)
  return ok({
    tell: state => libc.value.sendDatagram(socket, utf8(state)),
    watchdogMs: mine ? Number(period) / 1000 : undefined,
  })
}
