/** A broker in a process of its own, where there is no Mosquitto: listens on the port that it is given until it is ended. */
import { startBroker } from '../../drivers/bus/broker.ts'
import { must } from '../../protocol/result.ts'

must(await startBroker(Number(process.argv[2])))
