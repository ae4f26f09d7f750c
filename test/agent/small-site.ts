/** The smallest configuration of a site that is taken, whatever its keys; nothing answers at its addresses. */
export const smallSite = (keys: string): string => `version: 1
site: maple
role: household
data: data
keys: ${keys}
ledger:
  chain: street-1
  trust: {height: 1, hash: ${'ab'.repeat(32)}}
  primary: http://127.0.0.1:9
  witnesses: []
brokers: [mqtt://127.0.0.1:9]
lines: {lan: {tcp: 127.0.0.1:9}}
meters: {grid: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 1}}
trade: {slot: 60s, energy: 1kWh}
`
