/** A serial device that is found again after a replug, under whatever name the kernel then gives it. */
import { fail } from '../../protocol/result.ts'
import type { Clock, Line, Log, Timers } from '../ports.ts'
import { createSerialLine, type SerialSettings } from './serial.ts'
import { adapterAt, locate, SERIAL_PLACES } from './serial-names.ts'

export function createReplugLine(
  settings: SerialSettings,
  clock: Clock,
  timers: Timers,
  log?: Log,
  places = SERIAL_PLACES,
): Line {
  let port = createSerialLine(settings, clock, timers, log)
  let isOpen = false
  /** The adapter that was opened first: the one that this line is. */
  let adapter: string | undefined
  return {
    name: settings.path,
    characterMs: port.characterMs,
    without: () => port.without?.(),
    unpaced: () => port.unpaced?.() ?? false,
    damaged: () => port.damaged?.(),
    open: async listener => {
      if (isOpen) return port.open(listener)
      const found = await locate(settings.path, adapter, places)
      if (!found.ok) return found
      const opening = createSerialLine({ ...settings, path: found.value }, clock, timers, log)
      port = opening
      const opened = await opening.open({
        bytes: listener.bytes,
        down: fault => {
          if (port === opening) isOpen = false
          listener.down(fault)
        },
      })
      if (!opened.ok || port !== opening) return opened
      isOpen = true
      adapter ??= await adapterAt(found.value, places)
      return opened
    },
    write: bytes => port.write(bytes),
    flush: () => port.flush(),
    setBaud: baud => port.setBaud?.(baud) ?? Promise.resolve(fail({ code: 'line.baud', line: settings.path, baud })),
    close: () => {
      isOpen = false
      return port.close()
    },
  }
}
