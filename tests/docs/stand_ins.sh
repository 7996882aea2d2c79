# Stand-ins for the programs that the commands of the pages call, for tests/docs.rs. They fail for commands that no page
# contains. FIXTURES and DEPLOY are folders of the repository. The working directory is a new folder, in which role.json
# is the trust policy of the role demo-app.
set -euo pipefail
issuer_of_the_cluster=oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE

refuse() {
    echo "unexpected command: $*" >&2
    exit 99
}

kubectl() {
    case "$*" in
        'get serviceaccounts --all-namespaces --output json') cat "$FIXTURES/serviceaccounts.json" ;;
        'get pods --all-namespaces --output json') cat "$FIXTURES/pods.json" ;;
        'get nodes --label-columns eks.amazonaws.com/compute-type,kubernetes.io/os') ;;
        'get daemonset eks-pod-identity-agent --namespace kube-system') ;;
        'get networkpolicies --all-namespaces') ;;
        'apply -k '*) [ -f "$DEPLOY/$3/kustomization.yaml" ] || refuse kubectl "$@" ;;
        '--namespace demo rollout status deployment/app') ;;
        '--namespace demo rollout restart deployment/app') ;;
        '--namespace demo exec deployment/app -- /list_buckets') ;;
        '--namespace demo exec deployment/app -- /migrate') ;;
        '--namespace demo exec deployment/app -- /doctor') ;;
        '--namespace demo set env deployment/app EKS_CREDENTIALS_SOURCE=pod-identity') ;;
        '--namespace demo annotate serviceaccount app eks.amazonaws.com/role-arn-') ;;
        *) refuse kubectl "$@" ;;
    esac
}

# JSON arguments and JSON files must be valid policies.
aws() {
    local argument
    for argument; do
        case $argument in
            file://*) jq --exit-status .Statement "${argument#file://}" >/dev/null ;;
            '{'*) jq --exit-status .Statement <<<"$argument" >/dev/null ;;
        esac
    done
    case "$*" in
        'eks describe-cluster --name my-cluster --query cluster.identity.oidc.issuer --output text')
            echo "https://$issuer_of_the_cluster" ;;
        "iam create-open-id-connect-provider --url https://$issuer_of_the_cluster --client-id-list sts.amazonaws.com") ;;
        'iam create-role --role-name demo-app --assume-role-policy-document file://trust.json') cp trust.json role.json ;;
        'iam put-role-policy --role-name demo-app --policy-name app --policy-document '*) ;;
        'eks create-addon --cluster-name my-cluster --addon-name eks-pod-identity-agent') ;;
        'eks wait addon-active --cluster-name my-cluster --addon-name eks-pod-identity-agent') ;;
        'eks create-pod-identity-association --cluster-name my-cluster --namespace demo --service-account app --role-arn arn:aws:iam::111122223333:role/demo-app') ;;
        'eks list-pod-identity-associations --cluster-name my-cluster --query '*) ;;
        'iam get-role --role-name demo-app --query Role.AssumeRolePolicyDocument --output json') cat role.json ;;
        'iam update-assume-role-policy --role-name demo-app --policy-document file://'*) cp "${6#file://}" role.json ;;
        'cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=AssumeRoleWithWebIdentity --max-items 1000 --output json')
            cat "$FIXTURES/events.json" ;;
        'iam list-roles --output json')
            jq '{Roles: [{RoleName: "demo-app", AssumeRolePolicyDocument: .}]}' role.json ;;
        "iam delete-open-id-connect-provider --open-id-connect-provider-arn arn:aws:iam::111122223333:oidc-provider/$issuer_of_the_cluster") ;;
        *) refuse aws "$@" ;;
    esac
}

sleep() { :; }
