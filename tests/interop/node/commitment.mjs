// Storage commitment with dcmjs-dimse, in either role. It tells what it heard in one line of JSON.
//
// Usage: node commitment.mjs scp PORT ROUTE REQUESTER-AE-TITLE REQUESTER-PORT [INSTANCE-UID ...]
//        node commitment.mjs scu PORT ROUTE CALLED-AE-TITLE LISTENING-PORT < INSTANCES
//
// ROUTE is "same" where the report is to go over the association of the request, "new" where it needs one of its own.
// The SCP keeps the instances that it is given; INSTANCES are pairs of SOP class and SOP instance in JSON.
import { readFileSync } from 'node:fs';
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Dataset, Scp, Server, constants, requests, responses } = dcmjsDimse;
const { PresentationContextResult, Status, TransferSyntax } = constants;
const PUSH = '1.2.840.10008.1.20.1';
const INSTANCE = '1.2.840.10008.1.20.1.1';
const NO_SUCH_OBJECT_INSTANCE = 0x0112;
const PATIENCE = 20000;
const HOST = '127.0.0.1';
const [role, port, route, peer, otherPort, ...kept] = process.argv.slice(2);

const tell = (what) => console.log(JSON.stringify(what));
const items = (dataset, name) => [dataset.getElement(name) ?? []].flat();

class Acceptor extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, TransferSyntax.ImplicitVRLittleEndian);
    }
    this.sendAssociationAccept();
  }

  nActionRequest(request, callback) {
    const response = responses.NActionResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
    const report = reportOn(request.getDataset());
    report.on('response', (answer) => tell({ status: answer.getStatus() }));
    if (route === 'same') {
      this.sendRequests([report]);
    } else {
      send(report, Number(otherPort));
    }
  }

  nEventReportRequest(request, callback) {
    take(request, callback);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

function reportOn(asked) {
  const references = items(asked, 'ReferencedSOPSequence');
  const isKept = (item) => kept.includes(item.ReferencedSOPInstanceUID);
  const failed = references.filter((item) => !isKept(item));
  const report = new requests.NEventReportRequest(PUSH, INSTANCE, failed.length ? 2 : 1);
  report.setDataset(
    new Dataset({
      TransactionUID: asked.getElement('TransactionUID'),
      ...(failed.length < references.length && { ReferencedSOPSequence: references.filter(isKept) }),
      ...(failed.length && {
        FailedSOPSequence: failed.map((item) => ({ ...item, FailureReason: NO_SUCH_OBJECT_INSTANCE })),
      }),
    }),
  );
  return report;
}

function send(request, toPort, options = {}) {
  const client = new Client();
  client.on('nEventReportRequest', take);
  client.on('networkError', (error) => console.error('network error:', error));
  client.on('associationRejected', (result) => console.error('rejected:', result));
  client.addRequest(request);
  client.send(HOST, toPort, 'DCMJS', peer, options);
  return client;
}

let heard = {};

function take(request, callback) {
  const response = responses.NEventReportResponse.fromRequest(request);
  response.setStatus(Status.Success);
  callback(response);
  const dataset = request.getDataset();
  heard = {
    ...heard,
    event_type: request.getEventTypeId(),
    transaction: dataset.getElement('TransactionUID') === transaction,
    committed: items(dataset, 'ReferencedSOPSequence').map((item) => item.ReferencedSOPInstanceUID),
    failed: Object.fromEntries(
      items(dataset, 'FailedSOPSequence').map((item) => [item.ReferencedSOPInstanceUID, item.FailureReason]),
    ),
  };
  tell(heard);
  // The response has to leave first.
  setTimeout(() => process.exit(0), 200);
}

const transaction = `2.25.${BigInt(Date.now())}${process.pid}`;

function ask(instances) {
  const request = new requests.NActionRequest(PUSH, INSTANCE, 1);
  request.setDataset(
    new Dataset({
      TransactionUID: transaction,
      ReferencedSOPSequence: instances.map(([sopClass, uid]) => ({
        ReferencedSOPClassUID: sopClass,
        ReferencedSOPInstanceUID: uid,
      })),
    }),
  );
  request.on('response', (response) => {
    heard.status = response.getStatus();
    if (heard.status !== Status.Success) {
      tell(heard);
      process.exit(0);
    }
  });
  send(request, Number(port), route === 'same' ? { associationLingerTimeout: PATIENCE } : {});
}

if (role === 'scp') {
  new Server(Acceptor).listen(Number(port));
} else {
  new Server(Acceptor).listen(Number(otherPort));
  ask(JSON.parse(readFileSync(0, 'utf8')));
  setTimeout(() => process.exit(1), PATIENCE);
}
