/** `tieline decode`: what a recording of a meter's telegrams, or of a Modbus line, says. One JSON line a frame. */
import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { readBytes } from '../../../drivers/text-file.ts'
import { type Fault, faultLine, type Pull } from '../../../protocol/result.ts'
import type { MeterValue } from '../../../protocol/telegram/obis.ts'
import type { Telegram } from '../../../protocol/telegram/telegram.ts'
import { oneLine } from '../../log.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { tellFile } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused, unknownName } from '../usage.ts'
import { framesOf } from './frames.ts'
import { type KeyOptions, readMeterKeys, refusedKey } from './meter-keys.ts'
import { valueJson, valueTable } from './meter-text.ts'
import { createModbusStream, type ModbusFrame, modbusJson, modbusText } from './modbus-frames.ts'
import { readRecording } from './recording.ts'

export interface DecodeOptions extends KeyOptions {
  readonly json?: true
}

const MODBUS = 'modbus'

/** One kind of recording: how a frame of it is found and said. */
interface Kind<T> {
  readonly decode: (bytes: Uint8Array) => Pull<T>
  readonly follow: (frame: T) => void
  readonly json: (frame: T) => Readonly<Record<string, unknown>>
  /** Lines for people, ended. */
  readonly text: (frame: T) => string
}

export async function decode(
  kind: string,
  file: string,
  options: DecodeOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const telegram = TELEGRAMS.get(kind)
  if (telegram === undefined && kind !== MODBUS)
    return misused('decode', unknownName('kind', kind, [...TELEGRAMS.keys(), MODBUS]), terminal)
  const keys = await readMeterKeys(options, terminal.env)
  if (!keys.ok) return refusedKey('decode', keys.fault, terminal)
  const read = await readBytes(file)
  if (!read.ok) return tellFile(read.fault, 'tieline decode', terminal)
  const recording = readRecording(read.value, telegram === undefined)
  if (!recording.ok) {
    terminal.err(`tieline decode: ${file}: ${explain(recording.fault)}\n`)
    return EXIT.no
  }
  const json = options.json === true
  const exit =
    telegram === undefined
      ? decodeAll(recording.value.bytes, modbusKind(), json, terminal)
      : decodeAll(recording.value.bytes, telegramKind(telegram(keys.value)), json, terminal)
  for (const fault of recording.value.faults) {
    if (json) terminal.out(jsonLine({ ok: false, fault }))
    terminal.err(`tieline decode: ${file}: ${explain(fault)}\n`)
  }
  return recording.value.faults.length > 0 ? EXIT.no : exit
}

function decodeAll<T>(bytes: Uint8Array, kind: Kind<T>, json: boolean, terminal: Terminal): ExitCode {
  let frames = 0
  let faults = 0
  const say = (object: object, text: () => string) => terminal.out(json ? jsonLine(object) : text())
  for (const stretch of framesOf(bytes, kind.decode)) {
    if (stretch.kind === 'frame') {
      frames++
      kind.follow(stretch.value)
      say({ ok: true, ...kind.json(stretch.value) }, () => kind.text(stretch.value))
      continue
    }
    faults++
    const { at: offset, bytes: length } = stretch
    const fault = stretch.kind === 'cut' ? { code: 'decode.cut', need: stretch.need } : stretch.fault
    say(
      { ok: false, fault: { ...fault, offset, bytes: length } },
      () => `no frame at ${offset}, ${length} bytes: ${explain(fault)}\n`,
    )
    // The data says it too; whoever reads a pipe with jq sees why it ends with 1.
    if (json) terminal.err(`tieline decode: no frame at ${offset}, ${length} bytes: ${explain(fault)}\n`)
  }
  if (frames === 0) terminal.err('tieline decode: nothing was decoded\n')
  return frames === 0 || faults > 0 ? EXIT.no : EXIT.ok
}

function telegramKind(decodeOne: (bytes: Uint8Array) => Pull<Telegram>): Kind<Telegram> {
  return {
    decode: decodeOne,
    follow: () => {},
    json: ({ meterId, values, checked }) => ({
      meter: meterId ?? null,
      values: said(values).map(valueJson),
      // Said only where it is so: nothing but the form of this telegram vouches for its values.
      ...(checked ? {} : { checked }),
    }),
    text: ({ meterId, values, checked }) =>
      `${oneLine(meterId ?? 'a meter without a name')}${checked ? '' : ', without a checksum'}\n${valueTable(said(values))}`,
  }
}

/** What the telegram itself says; sums that a reading gets from it are no part of a recording. */
const said = (values: readonly MeterValue[]): readonly MeterValue[] =>
  values.filter(({ derived }) => derived === undefined)

function modbusKind(): Kind<ModbusFrame> {
  const { decode, follow } = createModbusStream()
  return { decode, follow, json: modbusJson, text: frame => `${oneLine(modbusText(frame))}\n` }
}

/** What a fault means for whoever recorded it, where its code alone does not say. */
function explain(fault: Fault): string {
  if (fault.code === 'decode.empty') return 'there is nothing in it'
  if (fault.code === 'decode.cut')
    return `decode.cut: the recording ends ${fault['need']} bytes or more before the frame does`
  return oneLine(faultLine(fault))
}
