/** Meters that push DLMS telegrams unasked: plain over HDLC as on a Norwegian HAN port, sealed over M-Bus as in Austria. */

import { encodePush, inHdlc, inMbus, type PushSeal, sealPush } from '../../protocol/telegram/dlms/write.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import { milli, type SpeakingMeter, speak, type TelegramMeterOptions } from './telegram-meters.ts'

export interface DlmsMeterOptions extends TelegramMeterOptions {
  readonly meterId: string
  /** With it M-Bus and sealed, the frame counter rising with each telegram; without HDLC and plain. */
  readonly seal?: Omit<PushSeal, 'counter'>
}

export function startDlmsMeter(options: DlmsMeterOptions): SpeakingMeter {
  const { meterId, seal, clock } = options
  // A meter's counter outlasts its power supply; ours has no memory, so it goes on from the time of day.
  const counted = Math.floor(clock.now() / 1000)
  return speak(options, (measured, sequence) => {
    const push = encodePush({
      meterId,
      sequence,
      values: [
        milli(OBIS.energyImport, measured.imported, 0, 'Wh'),
        milli(OBIS.energyExport, measured.exported, 0, 'Wh'),
        milli(OBIS.powerImport, Math.max(0, measured.powerMw), 0, 'W'),
        milli(OBIS.powerExport, Math.max(0, -measured.powerMw), 0, 'W'),
        milli(OBIS.voltageL1, measured.voltageMv, -1, 'V'),
        milli(OBIS.currentL1, measured.currentMa, -2, 'A'),
      ],
    })
    return seal === undefined ? inHdlc(push) : inMbus(sealPush(push, { ...seal, counter: counted + sequence }))
  })
}
