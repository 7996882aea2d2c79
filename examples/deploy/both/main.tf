# IRSA and EKS Pod Identity for the same service account and role, for a migration. Edit the defaults of the variables, or
# set them with -var. trust-policy.json contains the same trust policy, for use without Terraform.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "cluster_name" {
  type    = string
  default = "my-cluster"
}

variable "namespace" {
  type    = string
  default = "demo"
}

variable "service_account" {
  type    = string
  default = "app"
}

variable "role_name" {
  type    = string
  default = "demo-app"
}

provider "aws" {
  region = var.region
}

data "aws_eks_cluster" "this" {
  name = var.cluster_name
}

locals {
  issuer_url = data.aws_eks_cluster.this.identity[0].oidc[0].issuer
  issuer     = trimprefix(local.issuer_url, "https://")
}

# All roles of a cluster share one identity provider. If it exists already, import it:
#   terraform import aws_iam_openid_connect_provider.cluster arn:aws:iam::ACCOUNT:oidc-provider/ISSUER
resource "aws_iam_openid_connect_provider" "cluster" {
  url            = local.issuer_url
  client_id_list = ["sts.amazonaws.com"]
}

# Remove this resource in EKS Auto Mode: the agent is built in.
resource "aws_eks_addon" "pod_identity_agent" {
  cluster_name = var.cluster_name
  addon_name   = "eks-pod-identity-agent"
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "Irsa"
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.cluster.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
    # Without this condition, every service account of the cluster can assume the role.
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["system:serviceaccount:${var.namespace}:${var.service_account}"]
    }
  }

  statement {
    sid     = "PodIdentity"
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
    # Without these conditions, anyone who may pass the role (iam:PassRole) can associate it with any service account.
    # They compare session tags: if the association sets disable_session_tags, they deny every request.
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/eks-cluster-arn"
      values   = [data.aws_eks_cluster.this.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-namespace"
      values   = [var.namespace]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-service-account"
      values   = [var.service_account]
    }
  }
}

resource "aws_iam_role" "app" {
  name               = var.role_name
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "permissions" {
  statement {
    actions   = ["s3:ListAllMyBuckets"]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "app" {
  name   = "app"
  role   = aws_iam_role.app.id
  policy = data.aws_iam_policy_document.permissions.json
}

resource "aws_eks_pod_identity_association" "app" {
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.app.arn
}

# The value of the annotation eks.amazonaws.com/role-arn.
output "role_arn" {
  value = aws_iam_role.app.arn
}
