/** A simulated OpenEVSE: commands as drivers/chargers/openevse.ts has them, from the same second-hand sources. */

import { decodeRapi, encodeRapi } from '../../../drivers/chargers/rapi-frame.ts'
import type { DeviceEnd } from '../../../drivers/line/device-end.ts'
import type { PilotState } from '../../../drivers/ports.ts'
import { concat } from '../../../protocol/bytes.ts'
import { createStation, type SimCharger, type StationOptions } from './station.ts'

export interface SimOpenEvse extends SimCharger {
  /** Each that wears the EEPROM. */
  eepromWrites(): number
  /** The next answer comes so much later, when its command is long given up. */
  lateNext(ms: number): void
  /** What was asked, without sequence numbers. */
  readonly heard: readonly string[]
}

const CODES: Readonly<Record<PilotState | 'unknown', number>> = { A: 1, B: 2, C: 3, D: 4, E: 5, F: 6, unknown: 0x33 }
const SLEEPING = 0xfe
const LEAST_A = 6
const COOKIE = 165
const ANSWER_MS = 3
const BUFFER_MOST = 256

export function createOpenEvse(end: DeviceEnd, options: StationOptions): SimOpenEvse {
  const { timers, bootMa } = options
  const station = createStation(options)
  const heard: string[] = []
  let buffer: Uint8Array = new Uint8Array(0)
  let [dead, stubborn, swapped] = [false, false, false]
  let asleep = true
  let amperes = LEAST_A
  let interval = 0
  let fallbackA = 0
  /** 0 never missed, 2 missed and not taken note of, 1 taken note of. */
  let trigger = 0
  let eepromWrites = 0
  let lateMs = 0

  const offer = (): void => station.offer(asleep ? 0 : amperes * 1000)
  const feed = (): void =>
    station.watch(1000 * interval, () => {
      trigger = 2
      amperes = Math.min(amperes, fallbackA)
      offer()
    })
  const two = (value: number): string => value.toString(16).toUpperCase().padStart(2, '0')
  const supervision = (): string[] => [String(interval), String(fallbackA), String(trigger)]

  function setCapacity(words: readonly string[]): string[] {
    const wanted = Number(words[1])
    if (!stubborn) amperes = Math.max(LEAST_A, Math.min(wanted, bootMa / 1000))
    if (words[2] !== 'V') eepromWrites++
    offer()
    return [wanted === amperes || stubborn ? 'OK' : 'NK', String(wanted)]
  }

  function supervise(words: readonly string[]): string[] {
    if (words.length === 1) {
      if (trigger !== 2) feed()
      return [trigger === 2 ? 'NK' : 'OK', ...supervision()]
    }
    if (words.length === 2) {
      if (Number(words[1]) !== COOKIE) return ['NK']
      trigger = 1
      amperes = bootMa / 1000
      offer()
      feed()
      return ['OK', ...supervision()]
    }
    interval = Number(words[1])
    fallbackA = Number(words[2])
    eepromWrites++
    feed()
    return ['OK', ...supervision()]
  }

  function sleepOrWake(sleeps: boolean): string[] {
    if (!stubborn) asleep = sleeps
    offer()
    return ['OK']
  }

  function act(words: readonly string[]): string[] {
    switch (words[0]) {
      case 'GV':
        return swapped ? ['OK', '4.8.0', '2.0.1'] : ['OK', '8.2.1', '5.2.1']
      case 'GS': {
        const pilot = CODES[station.state()]
        return ['OK', two(asleep && pilot <= 4 ? SLEEPING : pilot), '0', two(pilot), '0100']
      }
      case 'GE':
        return ['OK', String(amperes), '0021']
      case 'GG':
        return ['OK', asleep ? '-1' : String(station.drawnMa()), '-1']
      case 'SC':
        return setCapacity(words)
      case 'SY':
        return supervise(words)
      case 'FE':
        return sleepOrWake(false)
      case 'FS':
        return sleepOrWake(true)
      default:
        return ['NK']
    }
  }

  end.onBytes(chunk => {
    if (dead) return
    buffer = concat(buffer, chunk).subarray(-BUFFER_MOST)
    for (;;) {
      const pull = decodeRapi(buffer)
      if (pull.kind === 'need') return
      buffer = buffer.subarray(pull.kind === 'frame' ? pull.used : pull.skip)
      if (pull.kind === 'junk') continue
      const { words, sequence } = pull.value
      heard.push(words.join(' '))
      const answer = encodeRapi(act(words), sequence)
      timers.after(ANSWER_MS + lateMs, () => {
        if (!dead) end.write(answer)
      })
      lateMs = 0
    }
  })

  return {
    station,
    heard,
    eepromWrites: () => eepromWrites,
    lateNext: ms => {
      lateMs = ms
    },
    cut: off => {
      dead = off
    },
    restart: () => {
      // What $SY set up is kept by the EEPROM; a board that was changed has another, and none of it.
      ;[interval, fallbackA, trigger] = [0, 0, 0]
      asleep = false
      amperes = bootMa / 1000
      feed()
      offer()
    },
    stubborn: on => {
      stubborn = on
    },
    swap: () => {
      swapped = true
    },
  }
}
