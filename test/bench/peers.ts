/** The same reads through our master and through the two that Node has besides; each as its own documents show it. */
import { connect } from 'node:net'
import jsmodbus from 'jsmodbus'
import modbusSerial from 'modbus-serial'
import { SerialPort } from 'serialport'
import { createSystemTime } from '../../drivers/clock.ts'
import { createSerialLine } from '../../drivers/line/serial.ts'
import { createTcpLine } from '../../drivers/line/tcp.ts'
import { createModbusMaster, type ModbusMaster } from '../../drivers/modbus/master.ts'
import { must } from '../../protocol/result.ts'

export const STACKS = ['tieline', 'modbus-serial', 'jsmodbus'] as const
export type Stack = (typeof STACKS)[number]

export interface Reader {
  /** Registers as bytes; undefined where the stack gave none. */
  read(unit: number, table: 'input' | 'holding', address: number, count: number): Promise<Uint8Array | undefined>
  close(): Promise<void>
}

export interface SerialPlace {
  readonly path: string
  readonly baud: number
  readonly timeoutMs: number
}

/** Our master on a serial device, which the caller closes; a timeout that stays where it is, so that late stays late. */
export async function openMaster({ path, baud, timeoutMs }: SerialPlace): Promise<ModbusMaster> {
  const { clock, timers } = createSystemTime()
  const line = createSerialLine({ path, baudRate: baud }, clock, timers)
  const answers = { initialMs: timeoutMs, floorMs: timeoutMs, ceilingMs: timeoutMs }
  const master = createModbusMaster({ line, clock, timers, framing: 'rtu', answers })
  must(await master.open())
  return master
}

const readerOf = (master: ModbusMaster): Reader => ({
  read: async (unit, table, address, count) => {
    const block = await master.readRegisters(unit, table, address, count)
    return block.ok ? block.value.bytes : undefined
  },
  close: () => master.close(),
})

async function modbusSerialReader(
  open: (client: InstanceType<typeof modbusSerial.default>) => Promise<void>,
  timeoutMs: number,
): Promise<Reader> {
  const client = new modbusSerial.default()
  await open(client)
  client.setTimeout(timeoutMs)
  return {
    read: async (unit, table, address, count) => {
      client.setID(unit)
      try {
        const read =
          table === 'input' ? client.readInputRegisters(address, count) : client.readHoldingRegisters(address, count)
        return (await read).buffer
      } catch {
        return undefined
      }
    },
    close: () => new Promise<void>(resolve => client.close(() => resolve())),
  }
}

/** What its serial and its TCP client have in common here. */
interface JsmodbusClient {
  readInputRegisters(start: number, count: number): Promise<JsmodbusAnswer>
  readHoldingRegisters(start: number, count: number): Promise<JsmodbusAnswer>
}
interface JsmodbusAnswer {
  readonly response: { readonly body: { readonly valuesAsBuffer?: Buffer } }
}

const jsmodbusReader = (clientOf: (unit: number) => JsmodbusClient, close: () => Promise<void>): Reader => {
  const clients = new Map<number, JsmodbusClient>()
  return {
    read: async (unit, table, address, count) => {
      const client = clients.get(unit) ?? clientOf(unit)
      clients.set(unit, client)
      try {
        const read =
          table === 'input' ? client.readInputRegisters(address, count) : client.readHoldingRegisters(address, count)
        return (await read).response.body.valuesAsBuffer
      } catch {
        return undefined
      }
    },
    close,
  }
}

export async function openSerial(stack: Stack, place: SerialPlace): Promise<Reader> {
  const { path, baud, timeoutMs } = place
  if (stack === 'tieline') return readerOf(await openMaster(place))
  if (stack === 'modbus-serial')
    return modbusSerialReader(client => client.connectRTUBuffered(path, { baudRate: baud }), timeoutMs)
  const port = new SerialPort({ path, baudRate: baud, autoOpen: false })
  // A client for each unit on the one port; each listens for its errors.
  port.setMaxListeners(0)
  await new Promise<void>((resolve, reject) => port.open(error => (error ? reject(error) : resolve())))
  return jsmodbusReader(
    unit => new jsmodbus.client.RTU(port, unit, timeoutMs) as unknown as JsmodbusClient,
    () => new Promise<void>(resolve => port.close(() => resolve())),
  )
}

export async function openTcp(stack: Stack, port: number, depth: number): Promise<Reader> {
  const timeoutMs = 2_000
  if (stack === 'tieline') {
    const { clock, timers } = createSystemTime()
    const line = createTcpLine('127.0.0.1', port, clock, timers)
    const master = createModbusMaster({ line, clock, timers, framing: 'tcp', depth })
    must(await master.open())
    return readerOf(master)
  }
  if (stack === 'modbus-serial')
    return modbusSerialReader(client => client.connectTCP('127.0.0.1', { port }), timeoutMs)
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  const client = new jsmodbus.client.TCP(socket, 1, timeoutMs) as unknown as JsmodbusClient
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return jsmodbusReader(
    () => client,
    async () => void socket.destroy(),
  )
}
