// dcmjs-dimse as server and as client. NODE_PATH names the directory it is installed in.
// node dcmjs.cjs scp PORT: answers C-ECHO and takes objects, which it does not keep; prints its port.
// node dcmjs.cjs echo PORT COUNT: sends C-ECHOs over one association; prints what they took after the first, as JSON.
'use strict';

const { Client, Scp, Server, constants, log, requests, responses } = require('dcmjs-dimse');

const { PresentationContextResult, Status, TransferSyntax } = constants;
const [command, port, count] = process.argv.slice(2);

class Receiver extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const chosen = context.getTransferSyntaxUids().find((uid) => Object.values(TransferSyntax).includes(uid));
      if (chosen) {
        context.setResult(PresentationContextResult.Accept, chosen);
      } else {
        context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      }
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(request.getDataset() ? Status.Success : Status.ProcessingFailure);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

function serve() {
  const server = new Server(Receiver);
  server.on('networkError', (error) => console.error(error.message));
  server.listen(Number(port));
  console.log(port);
}

function echo() {
  const client = new Client();
  let succeeded = 0;
  let started;
  let before;
  for (let number = 0; number <= Number(count); number += 1) {
    const request = new requests.CEchoRequest();
    request.on('response', (response) => {
      succeeded += response.getStatus() === Status.Success ? 1 : 0;
      if (number === 0) {
        started = process.hrtime.bigint();
        before = process.cpuUsage();
      } else if (succeeded === Number(count) + 1) {
        const { user, system } = process.cpuUsage(before);
        const seconds = Number(process.hrtime.bigint() - started) / 1e9;
        process.stdout.write(JSON.stringify({ seconds, cpu: (user + system) / 1e6 }), () => process.exit(0));
      }
    });
    client.addRequest(request);
  }
  client.on('networkError', (error) => {
    console.error(error.message);
    process.exit(1);
  });
  client.on('closed', () => process.exit(1));
  client.send('127.0.0.1', Number(port), 'BENCH', 'BENCH');
}

log.setLevel('error', false);
if (command === 'scp') {
  serve();
} else {
  echo();
}
